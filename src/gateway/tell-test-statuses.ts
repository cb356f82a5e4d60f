/**
 * Writes the statuses of test messages that came due among the account events, which are then brought to webhooks. Each
 * is written once: the events and the cursor behind them move in one batch. Refuses to touch a device or its events.
 */
import { askD1 } from "../db/ask.ts";
import { TEST_STEPS, TEST_STEPS_END_MS } from "../domain/test-numbers.ts";
import { moveCursor, readCursor } from "./scan-cursor.ts";

/** Those of one millisecond stay together. */
const STATUSES_A_RUN = 1_000;
/** A batch that accepts commits at most so long after the time it gives its messages. */
const COMMITTED_WITHIN_MS = 8_000;
/** How far the first run looks back. */
const FIRST_RUN_MS = 60_000;

/** ?1 steps by number, due after ?2 up to ?3. A real message that leaves at once is not told as pending either. */
const DUE = `
WITH due AS (
  SELECT t.account_id, t.id, t.waid, t.recipient, s.value ->> 'status' AS status, s.value ->> 'reason' AS reason,
    t.due_ms + (s.value ->> 'afterMs') AS at_ms
  FROM test_messages t INDEXED BY test_messages_due, json_each(coalesce(?1 -> t.recipient, ?1 -> 'usual')) s
  WHERE t.due_ms > ?2 - ${TEST_STEPS_END_MS} AND t.due_ms <= ?3
    AND t.due_ms + (s.value ->> 'afterMs') > ?2 AND t.due_ms + (s.value ->> 'afterMs') <= ?3
    AND s.value ->> 'status' <> 'pending'
)`;

const LAST_OF_RUN = `${DUE} SELECT at_ms FROM due ORDER BY at_ms LIMIT 1 OFFSET ${STATUSES_A_RUN - 1}`;

const STANDS = "(SELECT position FROM scan_cursors WHERE name = 'test_statuses')";

/** ?4 now. `device_id` is for choosing among webhooks and does not leave. */
const WRITE = `${DUE}
INSERT INTO account_events (account_id, id, type, subject, hour_ms, at_ms, data)
SELECT u.account_id,
  max(?4 * 1000, coalesce((SELECT max(v.id) + 1 FROM account_events v WHERE v.account_id = u.account_id), 0))
    + row_number() OVER (PARTITION BY u.account_id ORDER BY u.at_ms, u.id) - 1,
  'message.' || u.status, CAST(u.id AS TEXT), ?4 - ?4 % 3600000, u.at_ms,
  json_object('id', CAST(u.id AS TEXT), 'device', u.waid, 'device_id', d.id, 'to', u.recipient, 'status', u.status,
    'reason', u.reason, 'expected_at', NULL, 'test', json('true'))
FROM due u JOIN devices d ON d.account_id = u.account_id AND d.waid = u.waid
WHERE ${STANDS} = ?2 AND EXISTS (
  SELECT 1 FROM endpoints e
  WHERE e.account_id = u.account_id AND e.deleted_ms IS NULL AND (e.format = 'json' OR e.kind = 'tracking'))`;

const MOVE = "UPDATE scan_cursors SET position = ?2 WHERE name = 'test_statuses' AND position = ?1";

export async function tellTestStatuses(db: D1Database, nowMs: number): Promise<void> {
  const untilMs = nowMs - COMMITTED_WITHIN_MS;
  const stored = await readCursor(db, "test_statuses");
  const fromMs = stored === 0 ? untilMs - FIRST_RUN_MS : stored;
  if (stored === 0) await moveCursor(db, "test_statuses", fromMs);
  if (untilMs <= fromMs) return;
  const steps = JSON.stringify(TEST_STEPS);
  const last = await askD1("last_test_status", () =>
    db.prepare(LAST_OF_RUN).bind(steps, fromMs, untilMs).first<{ at_ms: number }>(),
  );
  const upTo = last?.at_ms ?? untilMs;
  await askD1("write_test_statuses", () =>
    db.batch([
      db.prepare(WRITE).bind(steps, fromMs, upTo, nowMs),
      db.prepare(MOVE).bind(fromMs, upTo),
    ]),
  );
}
