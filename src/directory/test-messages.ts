/** Messages of test keys, for the account that sent them. What becomes of one follows from its number and the time. */
import { askD1 } from "../db/ask.ts";

export interface TestMessage {
  id: number;
  waid: string;
  to: string;
  priceRupiah: number;
  acceptedMs: number;
  dueMs: number;
}

const COLUMNS =
  'id, waid, recipient AS "to", price_rupiah AS priceRupiah, accepted_ms AS acceptedMs, due_ms AS dueMs';

const READ = `SELECT ${COLUMNS} FROM test_messages WHERE account_id = ?1 AND id = ?2`;

const LIST = `
SELECT ${COLUMNS} FROM test_messages
WHERE account_id = ?1 AND id < ?2 AND id >= ?3 AND (?4 IS NULL OR waid = ?4) AND (?5 IS NULL OR recipient = ?5)
ORDER BY id DESC LIMIT ?6`;

/** Null also when it is another account's. */
export async function testMessageOfAccount(
  db: D1Database,
  accountId: number,
  id: number,
): Promise<TestMessage | null> {
  return askD1("find_test_message", () =>
    db.prepare(READ).bind(accountId, id).first<TestMessage>(),
  );
}

export interface TestMessageFilter {
  waid: string | null;
  to: string | null;
  /** Ids at least. */
  fromId: number;
  /** Ids below. */
  beforeId: number;
  limit: number;
}

/** Newest first. An account has a bounded number a day. */
export async function testMessagesOfAccount(
  db: D1Database,
  accountId: number,
  { waid, to, fromId, beforeId, limit }: TestMessageFilter,
): Promise<TestMessage[]> {
  const { results } = await askD1("list_test_messages", () =>
    db.prepare(LIST).bind(accountId, beforeId, fromId, waid, to, limit).all<TestMessage>(),
  );
  return results;
}
