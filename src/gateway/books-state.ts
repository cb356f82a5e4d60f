/**
 * Where a restore of the books stands, for the operator: what the Restore object knows, and how many texts lie in D1
 * alone, which a restore would lose. Reads only.
 */
import { waitingTexts } from "../directory/restored-books.ts";
import { firstMessageIdAt } from "../domain/id.ts";
import { errorFields, logWarning } from "../domain/log.ts";
import type { RestoreRpc, RestoreView } from "../restore/interface.ts";

/** As far back as the cron brings texts to devices. */
const OLDEST_MS = 80 * 3_600_000;
const COUNTED_MAX = 10_000;

export interface BooksState extends RestoreView {
  /** Null when D1 does not say. */
  textsOnlyInBooks: number | null;
}

export async function booksState(
  tools: { db: D1Database; restore: RestoreRpc },
  nowMs: number,
): Promise<BooksState> {
  const view = await tools.restore.view();
  return { ...view, textsOnlyInBooks: await textsOnlyInBooks(tools.db, nowMs) };
}

async function textsOnlyInBooks(db: D1Database, nowMs: number): Promise<number | null> {
  const range = {
    after: firstMessageIdAt(nowMs - OLDEST_MS),
    before: firstMessageIdAt(nowMs + 60_000),
  };
  try {
    return await waitingTexts(db, range, COUNTED_MAX);
  } catch (error) {
    // A restore may be called for just because D1 does not answer.
    logWarning("texts in the books not counted", errorFields(error));
    return null;
  }
}
