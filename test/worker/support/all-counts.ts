/** How many rows each table of D1 holds, logs apart: what a refused request may not have changed. */
import { env } from "cloudflare:test";

/** What every request may add to. */
const LOGS = new Set(["request_log", "unknown_key_requests", "account_events"]);

export async function allCounts(): Promise<Record<string, number>> {
  const { results } = await env.DB.prepare(
    "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE '\\_%' ESCAPE '\\' AND name NOT LIKE 'sqlite%' AND name NOT LIKE 'd1\\_%' ESCAPE '\\'",
  ).all<{ name: string }>();
  const names = results.map(({ name }) => name).filter((name) => !LOGS.has(name));
  const columns = names.map((name) => `(SELECT count(*) FROM "${name}") AS "${name}"`);
  const row = await env.DB.prepare(`SELECT ${columns.join(", ")}`).first<Record<string, number>>();
  return row ?? {};
}
