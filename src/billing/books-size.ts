/**
 * How large the books have grown, so that a person archives before D1 takes no more rows: about a kilobyte a message. Reads
 * only.
 */
import { askD1 } from "../db/ask.ts";

/** Part of the database's bound at which a person is called. */
const ALARM_SHARE = 0.6;

export interface BooksSize {
  bytes: number;
  /** Of what the database may hold. */
  share: number;
  isLarge: boolean;
}

export async function booksSize(db: D1Database, bytesMax: number): Promise<BooksSize> {
  const { meta } = await askD1("books_size", () => db.prepare("SELECT 1").all());
  const bytes = meta.size_after;
  const share = bytes / bytesMax;
  return { bytes, share, isLarge: share >= ALARM_SHARE };
}
