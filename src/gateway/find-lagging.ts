/**
 * Finds messages that need a hand, a bounded number each run: young ones in every run, older ones by a rolling
 * scan, long-scheduled ones by when they came due. Reads only, but for its own cursor.
 */
import { askD1 } from "../db/ask.ts";
import { firstMessageIdAt } from "../domain/id.ts";
import { LAGGING_IN_RANGE, LAGGING_SCHEDULED, LAST_IN_RANGE, type LaggingRow } from "./cron-sql.ts";
import { moveCursor, readCursor } from "./scan-cursor.ts";

const MINUTE_MS = 60_000;
/** Younger ones are in the hands of the request that accepted them. */
const LEFT_ALONE_MS = 30_000;
const YOUNG_MS = 10 * MINUTE_MS;
/** Longer than any message that was not scheduled far ahead may take to its end. */
const OLDEST_MS = 80 * 3_600_000;
const OVERDUE_AFTER_MS = 2 * MINUTE_MS;
const FOUND_MAX = 300;
const LOOKED_AT_MAX = 20_000;

export async function findLagging(db: D1Database, nowMs: number): Promise<LaggingRow[]> {
  const youngFrom = firstMessageIdAt(nowMs - YOUNG_MS);
  const youngTo = firstMessageIdAt(nowMs - LEFT_ALONE_MS);
  const oldest = firstMessageIdAt(nowMs - OLDEST_MS);
  const from = Math.max(await readCursor(db, "lagging"), oldest);
  const overdueMs = nowMs - OVERDUE_AFTER_MS;
  const inRange = (after: number, before: number) =>
    db.prepare(LAGGING_IN_RANGE).bind(after, before, overdueMs, nowMs, FOUND_MAX, LOOKED_AT_MAX);
  const results = await askD1("find_lagging", () =>
    db.batch([
      inRange(youngFrom - 1, youngTo),
      inRange(from - 1, youngFrom),
      db.prepare(LAGGING_SCHEDULED).bind(nowMs - OLDEST_MS, FOUND_MAX, overdueMs, nowMs),
      db.prepare(LAST_IN_RANGE).bind(from - 1, youngFrom, LOOKED_AT_MAX),
    ]),
  );
  const [young = [], rolling = [], scheduled = []] = results
    .slice(0, 3)
    .map((result) => result.results as LaggingRow[]);
  const [last] = (results[3]?.results ?? []) as { id: number | null }[];
  await moveCursor(db, "lagging", nextPosition(rolling, last?.id ?? null, oldest));
  const found = new Map([...young, ...rolling, ...scheduled].map((row) => [row.id, row]));
  return [...found.values()];
}

/** On past what was looked at; back to the oldest when there was nothing left. */
function nextPosition(rolling: LaggingRow[], lastId: number | null, oldest: number): number {
  if (lastId === null) return oldest;
  const stoppedAt = rolling.length === FOUND_MAX ? rolling.at(-1)?.id : undefined;
  return (stoppedAt ?? lastId) + 1;
}
