/**
 * Forgets what is older than seven days: log lines, account events, test messages, unknown keys. A bounded number of
 * accounts and rows a run; the reading side never shows what is too old, so a late run is not seen.
 */
import { askD1 } from "../db/ask.ts";
import { firstMessageIdAt } from "../domain/id.ts";
import { LOG_KEPT_MS } from "./request-log.ts";
import { moveCursor, readCursor } from "./scan-cursor.ts";

const ACCOUNTS_A_RUN = 500;
const ROWS_A_RUN = 2_000;

/** ?1 and ?2 accounts, ?3 cutoff, ?4 rows. Reads what it deletes and one row more an account. */
const FORGET_LINES = `
DELETE FROM request_log WHERE (account_id, last_line) IN (
  SELECT r.account_id, r.last_line
  FROM accounts a CROSS JOIN request_log r ON r.account_id = a.id AND r.last_line < coalesce(
    (SELECT x.last_line FROM request_log x WHERE x.account_id = a.id AND x.at_ms >= ?3 ORDER BY x.last_line LIMIT 1),
    9007199254740991)
  WHERE a.id > ?1 AND a.id <= ?2 LIMIT ?4)`;

/** ?3 is the first id that is kept; ids rise with time. */
const forgetBelowId = (table: "account_events" | "test_messages") => `
DELETE FROM ${table} WHERE (account_id, id) IN (
  SELECT t.account_id, t.id FROM accounts a CROSS JOIN ${table} t ON t.account_id = a.id AND t.id < ?3
  WHERE a.id > ?1 AND a.id <= ?2 LIMIT ?4)`;

const FORGET_UNKNOWN = `
DELETE FROM unknown_key_requests WHERE (hour_ms, address) IN (
  SELECT hour_ms, address FROM unknown_key_requests WHERE hour_ms < ?1 LIMIT ?2)`;

const NEWEST_ACCOUNT = "SELECT max(id) AS id FROM accounts";

export async function forgetLogs(db: D1Database, nowMs: number): Promise<void> {
  const after = await readCursor(db, "logs");
  const upTo = after + ACCOUNTS_A_RUN;
  const cutoffMs = nowMs - LOG_KEPT_MS;
  const forget = (sql: string, first: number) =>
    db.prepare(sql).bind(after, upTo, first, ROWS_A_RUN);
  const results = await askD1("forget_logs", () =>
    db.batch<{ id: number | null }>([
      forget(FORGET_LINES, cutoffMs),
      forget(forgetBelowId("account_events"), cutoffMs * 1000),
      forget(forgetBelowId("test_messages"), firstMessageIdAt(cutoffMs)),
      db.prepare(FORGET_UNKNOWN).bind(cutoffMs, ROWS_A_RUN),
      db.prepare(NEWEST_ACCOUNT),
    ]),
  );
  const newest = results.at(-1)?.results[0]?.id ?? 0;
  const position = upTo >= newest ? 0 : upTo;
  if (position !== after) await moveCursor(db, "logs", position);
}
