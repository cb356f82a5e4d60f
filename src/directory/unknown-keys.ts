/** The operator's list of requests with keys that nobody has: one row an hour and address. Read only. */
import { askD1 } from "../db/ask.ts";

export interface UnknownKeyRow {
  hourMs: number;
  /** Fixed-width hex of the address, or the low end of its /64; empty when there was none. */
  address: string;
  requestCount: number;
  lastMs: number;
  /** These three of the newest request. */
  keyPrefix: string;
  endpoint: string;
  requestId: string;
}

const READ = `
SELECT hour_ms AS hourMs, address, request_count AS requestCount, last_ms AS lastMs, key_prefix AS keyPrefix, endpoint,
  request_id AS requestId
FROM unknown_key_requests
WHERE (hour_ms, address) < (?1, ?2) AND hour_ms >= ?3 AND (?4 IS NULL OR address BETWEEN ?4 AND ?5)
ORDER BY hour_ms DESC, address DESC LIMIT ?6`;

export interface UnknownKeyFilter {
  /** Rows below this one, newest hours first. */
  before: { hourMs: number; address: string };
  sinceMs: number;
  address: { low: string; high: string } | null;
  limit: number;
}

export async function readUnknownKeys(
  db: D1Database,
  { before, sinceMs, address, limit }: UnknownKeyFilter,
): Promise<UnknownKeyRow[]> {
  const { results } = await askD1("read_unknown_keys", () =>
    db
      .prepare(READ)
      .bind(
        before.hourMs,
        before.address,
        sinceMs,
        address?.low ?? null,
        address?.high ?? null,
        limit,
      )
      .all<UnknownKeyRow>(),
  );
  return results;
}
