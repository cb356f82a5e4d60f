/** What the cron looks for in D1. Message ids are a time index, so every scan is a bounded range of ids. */

import type { MessageCategory } from "../domain/message-status.ts";

/** A row that needs a hand: its text may not have reached the device, or it should have left long ago. */
export interface LaggingRow {
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
  body: string | null;
  overdue: number;
  overlong: number;
}

const LAGGING = `
SELECT m.id, m.account_id, m.device_id, d.waid, m.nonce, m.recipient, m.category, m.price_rupiah, m.period_id,
  m.accepted_ms, m.due_ms, m.expires_ms, m.body, m.status = 'pending' AND m.due_ms < ?3 AS overdue,
  m.status = 'pending' AND m.expect_by_ms < ?4 AS overlong`;

const NEEDS_A_HAND = "(m.body IS NOT NULL OR (m.status = 'pending' AND m.due_ms < ?3))";

/** Ids in (?1, ?2), due before ?3, expected before ?4, at most ?5 answers out of ?6 rows looked at. */
export const LAGGING_IN_RANGE = `${LAGGING}
FROM (SELECT * FROM messages WHERE id > ?1 AND id < ?2 ORDER BY id LIMIT ?6) m
  JOIN devices d ON d.id = m.device_id
WHERE ${NEEDS_A_HAND}
ORDER BY m.id LIMIT ?5`;

/** The last id that the range above looked at; null when there was none. */
export const LAST_IN_RANGE = `
SELECT max(id) AS id FROM (SELECT id FROM messages WHERE id > ?1 AND id < ?2 ORDER BY id LIMIT ?3)`;

/** Messages scheduled long ago, found by when they came due: from ?1 up to ?3. */
export const LAGGING_SCHEDULED = `${LAGGING}
FROM messages m INDEXED BY messages_scheduled JOIN devices d ON d.id = m.device_id
WHERE m.due_ms >= m.accepted_ms + 3600000 AND m.due_ms > ?1 AND m.due_ms < ?3 AND m.status = 'pending'
ORDER BY m.due_ms LIMIT ?2`;

/** The device has these: ids as a JSON array. */
export const FORGET_BODIES = `
UPDATE messages SET body = NULL WHERE id IN (SELECT value FROM json_each(?1)) AND body IS NOT NULL`;

export const READ_CURSOR = "SELECT position FROM scan_cursors WHERE name = ?1";

export const MOVE_CURSOR = `
INSERT INTO scan_cursors (name, position) VALUES (?1, ?2)
ON CONFLICT (name) DO UPDATE SET position = excluded.position`;

/** Tombstones older than any batch that might still commit. */
export const FORGET_TOMBSTONES = "DELETE FROM abandoned WHERE message_id < ?1";
