/**
 * How messages end in the books: the hold of each becomes exactly one settle or void, a settled one may be
 * refunded once, and the index learns the status. One batch, repeatable, read back in the same breath. It refuses
 * to decide anything: only the Device object knows how a message ended. Balances and quotas move by trigger.
 */
import { cross } from "../domain/crossing.ts";
import { errorFields, logAlert } from "../domain/log.ts";
import { invariant } from "../domain/result.ts";
import type { MessageEnd, MessageEndReadback } from "./message-end.ts";

/** Ends a batch may hold. */
export const ENDS_MAX = 500;

/** The end's own leg, made from its hold. A refund tells of a settlement, so it brings one along. */
const WRITE_ENDS = `
INSERT INTO transfers (ref, leg, kind, account_id, debit, credit, amount, period_id, at_ms)
SELECT h.ref, 'end', CASE e.value ->> 'money' WHEN 'void' THEN 'void' ELSE 'settle' END, h.account_id, 'held',
  CASE e.value ->> 'money' WHEN 'void' THEN 'available' ELSE 'revenue' END, h.amount, h.period_id, e.value ->> 'at'
FROM json_each(?1) e
  CROSS JOIN messages m ON m.id = e.value ->> 'id' AND m.nonce = e.value ->> 'nonce'
    AND m.account_id = e.value ->> 'account'
  CROSS JOIN transfers h ON h.ref = 'message:' || m.id AND h.leg = 'hold'
WHERE e.value ->> 'money' IS NOT NULL
ON CONFLICT (ref, leg) DO NOTHING`;

const WRITE_REFUNDS = `
INSERT INTO transfers (ref, leg, kind, account_id, debit, credit, amount, period_id, at_ms)
SELECT s.ref, 'refund', 'refund', s.account_id, 'revenue', 'available', s.amount, s.period_id, e.value ->> 'at'
FROM json_each(?1) e
  CROSS JOIN messages m ON m.id = e.value ->> 'id' AND m.nonce = e.value ->> 'nonce'
    AND m.account_id = e.value ->> 'account'
  CROSS JOIN transfers s ON s.ref = 'message:' || m.id AND s.leg = 'end' AND s.kind = 'settle'
WHERE e.value ->> 'money' = 'refund'
ON CONFLICT (ref, leg) DO NOTHING`;

/** A status that reached the row proves that the device has the text. */
const WRITE_STATUSES = `
UPDATE messages
SET status = e.status, reason = e.reason, rev = e.rev, body = NULL,
  ended_ms = CASE WHEN e.status = 'pending' THEN ended_ms ELSE coalesce(ended_ms, e.at) END
FROM (
  SELECT value ->> 'id' AS id, value ->> 'nonce' AS nonce, value ->> 'account' AS account,
    value ->> 'status' AS status, value ->> 'reason' AS reason, value ->> 'rev' AS rev, value ->> 'at' AS at
  FROM json_each(?1)
) e
WHERE messages.id = e.id AND messages.nonce = e.nonce AND messages.account_id = e.account AND messages.rev < e.rev`;

const READ_BACK = `
SELECT m.id IS NOT NULL AS is_there, m.nonce = e.value ->> 'nonce' AND m.account_id = e.value ->> 'account' AS is_same,
  m.rev, h.ref IS NOT NULL AS has_hold, t.kind AS end_kind, r.ref IS NOT NULL AS has_refund
FROM json_each(?1) e
  LEFT JOIN messages m ON m.id = e.value ->> 'id'
  LEFT JOIN transfers h ON h.ref = 'message:' || (e.value ->> 'id') AND h.leg = 'hold'
  LEFT JOIN transfers t ON t.ref = h.ref AND t.leg = 'end'
  LEFT JOIN transfers r ON r.ref = h.ref AND r.leg = 'refund'
ORDER BY e.key`;

/** Writes the ends and answers, in their order, what the books now hold. Throws when D1 cannot be reached. */
export async function recordMessageEnds(
  db: D1Database,
  ends: MessageEnd[],
): Promise<MessageEndReadback[]> {
  invariant(ends.length <= ENDS_MAX, "a flush is bounded");
  if (ends.length === 0) return [];
  try {
    return await recordTogether(db, ends);
  } catch (error) {
    if (!isConstraintError(error)) throw error;
    logAlert("ends recorded one by one after a constraint failed", { ends: ends.length });
  }
  const readbacks: MessageEndReadback[] = [];
  for (const end of ends) readbacks.push(await recordAlone(db, end));
  return readbacks;
}

async function recordTogether(db: D1Database, ends: MessageEnd[]): Promise<MessageEndReadback[]> {
  const all = JSON.stringify(ends.map(endRow));
  const statements = [
    db.prepare(WRITE_ENDS).bind(all),
    db.prepare(WRITE_STATUSES).bind(JSON.stringify(newestEnds(ends).map(endRow))),
    db.prepare(READ_BACK).bind(all),
  ];
  if (ends.some((end) => end.money === "refund")) {
    statements.splice(1, 0, db.prepare(WRITE_REFUNDS).bind(all));
  }
  const results = await cross("d1", "record_ends", () => db.batch<ReadbackRow>(statements));
  const rows = results.at(-1)?.results ?? [];
  return ends.map((end, index) => {
    const row = rows[index];
    invariant(row !== undefined, "D1 reads back every end");
    return {
      messageId: end.messageId,
      money: moneyReadback(end, row),
      rev: row.is_same ? row.rev : null,
    };
  });
}

/** An end that the books refuse even alone must not be tried for ever: it is reported and left to a person. */
async function recordAlone(db: D1Database, end: MessageEnd): Promise<MessageEndReadback> {
  try {
    const [readback] = await recordTogether(db, [end]);
    invariant(readback !== undefined, "one end has one readback");
    return readback;
  } catch (error) {
    if (!isConstraintError(error)) throw error;
    logAlert("the books refuse an end", { messageId: end.messageId, ...errorFields(error) });
    return {
      messageId: end.messageId,
      money: end.money === null ? "none" : "different",
      rev: null,
    };
  }
}

/** UPDATE ... FROM takes any of several matching rows, so each message gets its newest status only. */
function newestEnds(ends: MessageEnd[]): MessageEnd[] {
  const newest = new Map<string, MessageEnd>();
  for (const end of ends) {
    const key = `${end.messageId}:${end.nonce}:${end.accountId}`;
    if ((newest.get(key)?.rev ?? -1) < end.rev) newest.set(key, end);
  }
  return [...newest.values()];
}

function endRow(end: MessageEnd): Record<string, unknown> {
  return {
    id: end.messageId,
    nonce: end.nonce,
    account: end.accountId,
    money: end.money,
    status: end.status,
    reason: end.reason,
    rev: end.rev,
    at: end.atMs,
  };
}

interface ReadbackRow {
  is_there: number;
  is_same: number | null;
  rev: number | null;
  has_hold: number;
  end_kind: "settle" | "void" | null;
  has_refund: number;
}

function moneyReadback(end: MessageEnd, row: ReadbackRow): MessageEndReadback["money"] {
  if (end.money === null) return "none";
  if (row.is_there === 1 && row.is_same !== 1) return "different";
  if (row.end_kind === null) return "no_hold";
  if (end.money === "refund") return row.has_refund === 1 ? "done" : "different";
  return row.end_kind === end.money ? "done" : "different";
}

function isConstraintError(error: unknown): boolean {
  return error instanceof Error && /constraint failed|SQLITE_CONSTRAINT/.test(error.message);
}
