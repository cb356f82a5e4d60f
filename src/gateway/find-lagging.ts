/**
 * Finds texts that their devices may not have, and devices with messages that should have left, a bounded number each run:
 * young ones in every run, older ones by a rolling scan, long-scheduled ones by when they came due. Reads only, but for its
 * own cursor.
 */
import { askD1 } from "../db/ask.ts";
import { firstMessageIdAt } from "../domain/id.ts";
import {
  LAST_IN_RANGE,
  OVERDUE_IN_RANGE,
  OVERDUE_SCHEDULED,
  SCHEDULED_TEXTS,
  TEXTS_IN_RANGE,
  type LaggingText,
  type OverdueDevice,
} from "./cron-sql.ts";
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
/** Device ids have 32 digits; from so many places they may be compared. */
const DIGITS = 24;

export interface Lagging {
  texts: LaggingText[];
  overdue: OverdueDevice[];
}

export async function findLagging(db: D1Database, nowMs: number): Promise<Lagging> {
  const youngFrom = firstMessageIdAt(nowMs - YOUNG_MS);
  const youngTo = firstMessageIdAt(nowMs - LEFT_ALONE_MS);
  const oldest = firstMessageIdAt(nowMs - OLDEST_MS);
  const from = Math.max(await readCursor(db, "lagging"), oldest);
  const overdueMs = nowMs - OVERDUE_AFTER_MS;
  const rotation = Math.floor(nowMs / MINUTE_MS) % DIGITS;
  const ask = (statements: [texts: string, devices: string], after: number, before: number) => {
    const range = [after, before, LOOKED_AT_MAX, FOUND_MAX];
    const [texts, devices] = statements;
    return [
      db.prepare(texts).bind(...range),
      db.prepare(devices).bind(...range, nowMs, overdueMs, rotation),
    ];
  };
  const inRange: [string, string] = [TEXTS_IN_RANGE, OVERDUE_IN_RANGE];
  const [last, ...results] = await askD1("find_lagging", () =>
    db.batch([
      db.prepare(LAST_IN_RANGE).bind(from - 1, youngFrom, LOOKED_AT_MAX),
      ...ask(inRange, youngFrom - 1, youngTo),
      ...ask(inRange, from - 1, youngFrom),
      ...ask([SCHEDULED_TEXTS, OVERDUE_SCHEDULED], nowMs - OLDEST_MS, overdueMs),
    ]),
  );
  const [looked] = (last?.results ?? []) as { id: number | null }[];
  // On past what was looked at; back to the oldest when there was nothing left.
  await moveCursor(db, "lagging", typeof looked?.id === "number" ? looked.id + 1 : oldest);
  const texts = results.filter((_, at) => at % 2 === 0).flatMap(({ results: rows }) => rows);
  const overdue = results.filter((_, at) => at % 2 === 1).flatMap(({ results: rows }) => rows);
  return {
    texts: firstOfEach(texts as LaggingText[], ({ id }) => id),
    overdue: firstOfEach(overdue as OverdueDevice[], (device) => device.device_id),
  };
}

/** What several scans found is one. */
function firstOfEach<T, K>(all: readonly T[], keyOf: (one: T) => K): T[] {
  const byKey = new Map<K, T>();
  for (const one of all) if (!byKey.has(keyOf(one))) byKey.set(keyOf(one), one);
  return [...byKey.values()];
}
