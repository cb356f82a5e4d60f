/** One balance check per API key in 15 minutes, rolling. A refusal does not extend the wait. */
import type { BalanceCheckVerdict } from "./interface.ts";

const WINDOW_MS = 900_000;

export function checkBalanceWindow(
  sql: SqlStorage,
  keyId: number,
  nowMs: number,
): BalanceCheckVerdict {
  const last = sql
    .exec<{ atMs: number }>("SELECT at_ms AS atMs FROM balance_checks WHERE key_id = ?", keyId)
    .toArray()[0];
  if (last !== undefined && nowMs < last.atMs + WINDOW_MS) {
    return { allowed: false, retryAfterMs: last.atMs + WINDOW_MS - nowMs };
  }
  sql.exec(
    `INSERT INTO balance_checks (key_id, at_ms) VALUES (?, ?)
     ON CONFLICT (key_id) DO UPDATE SET at_ms = excluded.at_ms`,
    keyId,
    nowMs,
  );
  return { allowed: true };
}
