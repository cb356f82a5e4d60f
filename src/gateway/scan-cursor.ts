/** Where a rolling scan of the cron stands, kept in D1 from run to run. */
import { askD1 } from "../db/ask.ts";
import { MOVE_CURSOR, READ_CURSOR } from "./cron-sql.ts";

export type CursorName = "lagging" | "periods" | "hourly" | "logs" | "test_statuses";

export async function readCursor(db: D1Database, name: CursorName): Promise<number> {
  const row = await askD1("read_cursor", () =>
    db.prepare(READ_CURSOR).bind(name).first<{ position: number }>(),
  );
  return row?.position ?? 0;
}

export async function moveCursor(
  db: D1Database,
  name: CursorName,
  position: number,
): Promise<void> {
  await askD1("move_cursor", () => db.prepare(MOVE_CURSOR).bind(name, position).run());
}
