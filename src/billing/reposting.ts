/**
 * Books that were set back hear again what a device knows: messages with their holds and ends, from the device's own
 * frozen facts. One batch, repeatable, read back in the same breath. It refuses to invent money: what the balance does
 * not bear, and what belongs to a device or period the books do not know, is left out and said. Balances and quotas
 * move by trigger.
 */
import { askD1 } from "../db/ask.ts";
import type { MessageCategory, MessageReason, MessageStatus } from "../domain/message-status.ts";
import { invariant } from "../domain/result.ts";
import type { MoneyEnd } from "./message-end.ts";

/** Messages a batch may hold. */
export const REPOSTED_MAX = 100;
/** As for a message that is accepted: the last moment of its end, after its last moment of hand-over. */
const END_AFTER_EXPIRY_MS = 49 * 3_600_000;

export interface DeviceOfBooks {
  deviceId: string;
  accountId: number;
}

export interface RepostedMessage {
  messageId: number;
  nonce: string;
  to: string;
  category: MessageCategory;
  priceRupiah: number;
  acceptedMs: number;
  dueMs: number;
  expiresMs: number;
  status: MessageStatus;
  reason: MessageReason | null;
  rev: number;
  endedMs: number | null;
  money: MoneyEnd | "held";
}

/** Why the books cannot take a message yet. */
export const repostObstacles = [
  "device_unknown",
  "period_unknown",
  "balance_short",
  "quota_used_up",
] as const;
export type RepostObstacle = (typeof repostObstacles)[number];

/** How a message stands in the books now. */
export type RepostAnswer =
  /** Its row and hold are there; `end` and `rev` may lag behind the device's. */
  | { kind: "there"; end: MoneyEnd | null; rev: number }
  /** The id is another message's. */
  | { kind: "different" }
  | { kind: "missing"; obstacle: RepostObstacle };

const FACTS = `
WITH fact AS (
  SELECT r.key AS n, r.value ->> 'id' AS id, r.value ->> 'nonce' AS nonce, r.value ->> 'to' AS recipient,
    r.value ->> 'category' AS category, r.value ->> 'price' AS price, r.value ->> 'accepted' AS accepted_ms,
    r.value ->> 'due' AS due_ms, r.value ->> 'expires' AS expires_ms, r.value ->> 'status' AS status,
    r.value ->> 'reason' AS reason, r.value ->> 'rev' AS rev, r.value ->> 'ended' AS ended_ms,
    r.value ->> 'money' AS money,
    -- Period ids may have been given out anew since: the one in which it was accepted is found by its bounds. A device
    -- that was entered again has none so old; its first one takes the message.
    coalesce(
      (SELECT p.id FROM package_periods p WHERE p.device_id = ?2 AND p.starts_ms <= r.value ->> 'accepted'
       ORDER BY p.starts_ms DESC LIMIT 1),
      (SELECT p.id FROM package_periods p WHERE p.device_id = ?2 ORDER BY p.starts_ms LIMIT 1)) AS period_id
  FROM json_each(?1) r
)`;

const POST = `${FACTS}
INSERT INTO restored_messages (
  id, account_id, device_id, period_id, nonce, recipient, category, price_rupiah, accepted_ms, due_ms, expires_ms,
  expect_by_ms, status, reason, rev, ended_ms, money, restored_ms)
SELECT f.id, d.account_id, d.id, f.period_id, f.nonce, f.recipient, f.category, f.price, f.accepted_ms, f.due_ms,
  f.expires_ms, f.expires_ms + ${END_AFTER_EXPIRY_MS}, f.status, f.reason, f.rev, f.ended_ms, f.money, ?4
FROM fact f JOIN devices d ON d.id = ?2 AND d.account_id = ?3
WHERE f.period_id IS NOT NULL
ORDER BY f.id`;

const READ_BACK = `${FACTS}
SELECT d.id IS NOT NULL AS has_device, f.period_id IS NOT NULL AS has_period,
  m.id IS NOT NULL AS is_there, m.nonce = f.nonce AND m.account_id = ?3 AS is_same, m.rev,
  CASE WHEN r.ref IS NOT NULL THEN 'refund' ELSE t.kind END AS end_kind,
  a.available + a.credit_limit < f.price AS is_short
FROM fact f
  LEFT JOIN devices d ON d.id = ?2 AND d.account_id = ?3
  LEFT JOIN accounts a ON a.id = d.account_id
  LEFT JOIN messages m ON m.id = f.id
  LEFT JOIN transfers t ON t.ref = 'message:' || f.id AND t.leg = 'end'
  LEFT JOIN transfers r ON r.ref = 'message:' || f.id AND r.leg = 'refund'
ORDER BY f.n`;

interface ReadBackRow {
  has_device: number;
  has_period: number;
  is_there: number;
  is_same: number | null;
  rev: number;
  end_kind: MoneyEnd | null;
  is_short: number | null;
}

/** Answers in the order of the messages. */
export async function repostMessages(
  db: D1Database,
  device: DeviceOfBooks,
  messages: readonly RepostedMessage[],
  nowMs: number,
): Promise<RepostAnswer[]> {
  invariant(messages.length <= REPOSTED_MAX, "a batch is bounded");
  if (messages.length === 0) return [];
  const facts = JSON.stringify(messages.map(factRow));
  const { deviceId, accountId } = device;
  const results = await askD1("repost_messages", () =>
    db.batch<ReadBackRow>([
      db.prepare(POST).bind(facts, deviceId, accountId, nowMs),
      db.prepare(READ_BACK).bind(facts, deviceId, accountId),
    ]),
  );
  const rows = results[1]?.results ?? [];
  return messages.map((_, index) => {
    const row = rows[index];
    invariant(row !== undefined, "D1 reads back every message");
    return answerOf(row);
  });
}

function factRow(message: RepostedMessage): Record<string, unknown> {
  return {
    id: message.messageId,
    nonce: message.nonce,
    to: message.to,
    category: message.category,
    price: message.priceRupiah,
    accepted: message.acceptedMs,
    due: message.dueMs,
    expires: message.expiresMs,
    status: message.status,
    reason: message.reason,
    rev: message.rev,
    ended: message.endedMs,
    money: message.money,
  };
}

function answerOf(row: ReadBackRow): RepostAnswer {
  if (row.is_there === 1) {
    if (row.is_same !== 1) return { kind: "different" };
    return { kind: "there", end: row.end_kind, rev: row.rev };
  }
  return { kind: "missing", obstacle: obstacleOf(row) };
}

function obstacleOf(row: ReadBackRow): RepostObstacle {
  if (row.has_device !== 1) return "device_unknown";
  if (row.has_period !== 1) return "period_unknown";
  return row.is_short === 1 ? "balance_short" : "quota_used_up";
}

/** The device's row learns that it was deleted, and that its settings must be told anew. */
const FINISH = `
UPDATE devices SET settings_revision = max(settings_revision, ?3) + 1, deleted_ms = coalesce(deleted_ms, ?4)
WHERE id = ?1 AND account_id = ?2`;
const END_SUBSCRIPTION = `
UPDATE subscriptions SET active = 0
WHERE device_id = ?1 AND active = 1
  AND EXISTS (SELECT 1 FROM devices d WHERE d.id = ?1 AND d.account_id = ?2 AND d.deleted_ms IS NOT NULL)`;

/** After the last message of a device. `settingsRevision`: the newest one that it was told, before the books forgot. */
export async function finishReposting(
  db: D1Database,
  device: DeviceOfBooks,
  known: { settingsRevision: number; closedMs: number | null },
): Promise<void> {
  const { deviceId, accountId } = device;
  await askD1("finish_reposting", () =>
    db.batch([
      db.prepare(FINISH).bind(deviceId, accountId, known.settingsRevision, known.closedMs),
      db.prepare(END_SUBSCRIPTION).bind(deviceId, accountId),
    ]),
  );
}
