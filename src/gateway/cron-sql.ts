/** What the cron looks for in D1. Message ids are a time index, so every scan is a bounded range of ids. */

import type { MessageCategory } from "../domain/message-status.ts";

/** A text that its device may not have. */
export interface LaggingText {
  id: number;
  account_id: number;
  device_id: string;
  waid: string;
  nonce: string;
  recipient: string;
  category: MessageCategory;
  price_rupiah: number;
  period_id: number;
  accepted_ms: number;
  due_ms: number;
  expires_ms: number;
  body: string;
}

/** A device with messages that should have left long ago. */
export interface OverdueDevice {
  device_id: string;
  account_id: number;
  waid: string;
  /** Messages past their last moment, and the first of them. */
  overlong: number;
  first_overlong: number | null;
}

/** Each device's first, each one's second and so on: no queue, however long, stands before another's text. */
const TEXTS = `
, numbered AS (
  SELECT id, row_number() OVER (PARTITION BY device_id ORDER BY id) AS nth FROM looked WHERE has_body)
SELECT m.id, m.account_id, m.device_id, d.waid, m.nonce, m.recipient, m.category, m.price_rupiah, m.period_id,
  m.accepted_ms, m.due_ms, m.expires_ms, m.body
FROM numbered n JOIN messages m ON m.id = n.id JOIN devices d ON d.id = m.device_id
ORDER BY n.nth, m.id LIMIT ?4`;

/** Of more than are answered, others each time: device ids are random, and are looked at from another digit on. */
const DEVICES = `
SELECT m.device_id, min(m.account_id) AS account_id, min(d.waid) AS waid, sum(m.expect_by_ms < ?5) AS overlong,
  min(CASE WHEN m.expect_by_ms < ?5 THEN m.id END) AS first_overlong
FROM looked m JOIN devices d ON d.id = m.device_id
WHERE m.status = 'pending' AND m.due_ms < ?6
GROUP BY m.device_id ORDER BY substr(m.device_id, 1 + ?7), m.device_id LIMIT ?4`;

const LOOKED_AT =
  "id, device_id, account_id, status, due_ms, expect_by_ms, body IS NOT NULL AS has_body";

/** Ids in (?1, ?2), at most ?3 rows looked at. */
const IN_RANGE = `
WITH looked AS (SELECT ${LOOKED_AT} FROM messages WHERE id > ?1 AND id < ?2 ORDER BY id LIMIT ?3)`;

/** Messages scheduled long ago, found by when they came due: after ?1, before ?2; at most ?3 looked at. */
const SCHEDULED = `
WITH looked AS (
  SELECT ${LOOKED_AT} FROM messages INDEXED BY messages_scheduled
  WHERE due_ms >= accepted_ms + 3600000 AND due_ms > ?1 AND due_ms < ?2 AND status = 'pending'
  ORDER BY due_ms LIMIT ?3)`;

/** Of each: ?4 answers at most. */
export const TEXTS_IN_RANGE = IN_RANGE + TEXTS;
export const SCHEDULED_TEXTS = SCHEDULED + TEXTS;

/** Of each: ?4 answers at most; expected before ?5, due before ?6, ids from digit ?7 on. */
export const OVERDUE_IN_RANGE = IN_RANGE + DEVICES;
export const OVERDUE_SCHEDULED = SCHEDULED + DEVICES;

/** The last id that the range above looked at; null when there was none. */
export const LAST_IN_RANGE = `
SELECT max(id) AS id FROM (SELECT id FROM messages WHERE id > ?1 AND id < ?2 ORDER BY id LIMIT ?3)`;

/** The device has these: ids as a JSON array. */
export const FORGET_BODIES = `
UPDATE messages SET body = NULL WHERE id IN (SELECT value FROM json_each(?1)) AND body IS NOT NULL`;

export const READ_CURSOR = "SELECT position FROM scan_cursors WHERE name = ?1";

export const MOVE_CURSOR = `
INSERT INTO scan_cursors (name, position) VALUES (?1, ?2)
ON CONFLICT (name) DO UPDATE SET position = excluded.position`;

/** Tombstones older than any batch that might still commit. */
export const FORGET_TOMBSTONES = "DELETE FROM abandoned WHERE message_id < ?1";
