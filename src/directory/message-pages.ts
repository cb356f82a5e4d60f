/**
 * An account's messages from the newest down, a page at a time. Ids are a time index, so a page is a bounded walk:
 * down the table where the account is busy, else down the account's own entries of the index. A page may hold
 * fewer than asked for, even none, and still go on. Reads only.
 */
import { askD1 } from "../db/ask.ts";
import type { MessageReason, MessageStatus } from "../domain/message-status.ts";
import type { IndexedMessage } from "./messages.ts";

export interface MessageFilter {
  deviceId: string | null;
  to: string | null;
  /** Null: any. */
  statuses: readonly MessageStatus[] | null;
  /** Ids at least. */
  fromId: number;
  /** Ids below. */
  beforeId: number;
}

export interface MessagePage {
  messages: IndexedMessage[];
  /** Go on below this id; null when there is nothing below. */
  nextBeforeId: number | null;
}

interface PageRow {
  id: number;
  device_id: string;
  waid: string;
  recipient: string;
  status: MessageStatus;
  reason: MessageReason | null;
  price_rupiah: number;
  accepted_ms: number;
  due_ms: number;
  ended_ms: number | null;
}

/** Rows of all accounts that one walk down the table looks at. */
const LOOKED_AT_MAX = 5_000;
/** Rows of the account that one walk down its index looks at. */
const OWN_LOOKED_AT_MAX = 2_000;

/** ?1 account, ?2 before id, ?3 from id, ?4 rows looked at. */
const DOWN_THE_TABLE = `SELECT id FROM messages WHERE id < ?2 AND id >= ?3 AND ?1 > 0 ORDER BY id DESC LIMIT ?4`;
/** The index has the account first and the id last, so this reads no row of another account. */
const DOWN_THE_INDEX = `
SELECT id FROM messages INDEXED BY messages_text
WHERE account_id = ?1 AND id < ?2 AND id >= ?3 ORDER BY id DESC LIMIT ?4`;

/** ?5 device, ?6 recipient, ?7 statuses as JSON, ?8 answers. */
function page(walk: string): string {
  return `
SELECT m.id, m.device_id, d.waid, m.recipient, m.status, m.reason, m.price_rupiah, m.accepted_ms, m.due_ms, m.ended_ms
FROM (${walk}) looked
  CROSS JOIN messages m ON m.id = looked.id
  CROSS JOIN devices d ON d.id = m.device_id
WHERE m.account_id = ?1
  AND (?5 IS NULL OR m.device_id = ?5)
  AND (?6 IS NULL OR m.recipient = ?6)
  AND (?7 IS NULL OR m.status IN (SELECT value FROM json_each(?7)))
ORDER BY m.id DESC LIMIT ?8`;
}

function lowest(walk: string): string {
  return `SELECT min(id) AS id, count(*) AS n FROM (${walk})`;
}

export async function messagesOfAccount(
  db: D1Database,
  accountId: number,
  filter: MessageFilter,
  countMax: number,
): Promise<MessagePage> {
  const dense = await walkDown(db, DOWN_THE_TABLE, LOOKED_AT_MAX, accountId, filter, countMax);
  const isFull = dense.messages.length === countMax;
  if (isFull || dense.nextBeforeId === null) return dense;
  return walkDown(db, DOWN_THE_INDEX, OWN_LOOKED_AT_MAX, accountId, filter, countMax);
}

async function walkDown(
  db: D1Database,
  walk: string,
  lookedAtMax: number,
  accountId: number,
  filter: MessageFilter,
  countMax: number,
): Promise<MessagePage> {
  const { deviceId, to, statuses, fromId, beforeId } = filter;
  const range = [accountId, beforeId, fromId, lookedAtMax];
  const asked = statuses === null ? null : JSON.stringify(statuses);
  const results = await askD1("list_messages", () =>
    db.batch([
      db.prepare(page(walk)).bind(...range, deviceId, to, asked, countMax),
      db.prepare(lowest(walk)).bind(...range),
    ]),
  );
  const rows = (results[0]?.results ?? []) as PageRow[];
  const [looked] = (results[1]?.results ?? []) as { id: number | null; n: number }[];
  const messages = rows.map((row) => indexedMessage(row, accountId));
  const last = messages.at(-1)?.id ?? null;
  if (messages.length === countMax) return { messages, nextBeforeId: last };
  const stopped = looked !== undefined && looked.n === lookedAtMax;
  return { messages, nextBeforeId: stopped ? looked.id : null };
}

function indexedMessage(row: PageRow, accountId: number): IndexedMessage {
  return {
    id: row.id,
    device: { deviceId: row.device_id, accountId, waid: row.waid },
    to: row.recipient,
    status: row.status,
    reason: row.reason,
    priceRupiah: row.price_rupiah,
    acceptedMs: row.accepted_ms,
    dueMs: row.due_ms,
    endedMs: row.ended_ms,
  };
}

/** ?1 account, ?2 ids as JSON, ?3 key. */
const OF_KEY = `
SELECT id FROM messages
WHERE id IN (SELECT value FROM json_each(?2)) AND account_id = ?1 AND key_id = ?3`;

/** Those of `ids` that were sent with the key. */
export async function idsOfKey(
  db: D1Database,
  accountId: number,
  ids: number[],
  keyId: number,
): Promise<number[]> {
  const { results } = await askD1("ids_of_key", () =>
    db.prepare(OF_KEY).bind(accountId, JSON.stringify(ids), keyId).all<{ id: number }>(),
  );
  return results.map((row) => row.id);
}

const YOUNG_PENDING = `
SELECT id FROM messages NOT INDEXED
WHERE id >= ?3 AND account_id = ?1 AND device_id = ?2 AND status = 'pending' AND body IS NOT NULL
ORDER BY id LIMIT ?4`;

/** Ids from `fromId` on, a young one: down the ids, not through all that the account ever sent; whose text may not have reached the device yet. */
export async function youngPendingIds(
  db: D1Database,
  { accountId, deviceId }: { accountId: number; deviceId: string },
  fromId: number,
  countMax: number,
): Promise<number[]> {
  const { results } = await askD1("young_pending", () =>
    db.prepare(YOUNG_PENDING).bind(accountId, deviceId, fromId, countMax).all<{ id: number }>(),
  );
  return results.map((row) => row.id);
}
