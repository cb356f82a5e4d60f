/**
 * Applies migrations to the local D1, each file in one batch together with its row in `d1_migrations`: the table
 * that `wrangler d1 migrations` keeps, so that both see the same history. Applied files are never run again.
 */
import type { Miniflare } from "miniflare";

export interface DatabaseMigrations {
  /** The database's name in the Worker's environment. */
  binding: string;
  /** In the order in which they are applied. */
  files: { name: string; statements: string[] }[];
}

const RECORDS = `CREATE TABLE IF NOT EXISTS d1_migrations(
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  name TEXT UNIQUE,
  applied_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP NOT NULL
)`;

/** Answers how many files were applied. */
export async function applyMigrations(
  miniflare: Miniflare,
  databases: readonly DatabaseMigrations[],
): Promise<number> {
  let count = 0;
  for (const { binding, files } of databases) {
    if (files.length === 0) continue;
    const database = await miniflare.getD1Database(binding);
    await database.prepare(RECORDS).run();
    const { results } = await database
      .prepare("SELECT name FROM d1_migrations")
      .all<{ name: string }>();
    const applied = new Set(results.map(({ name }) => name));
    const waiting = files.filter(({ name }) => !applied.has(name));
    for (const { name, statements } of waiting) {
      await database.batch([
        ...statements.map((statement) => database.prepare(statement)),
        database.prepare("INSERT INTO d1_migrations (name) VALUES (?)").bind(name),
      ]);
    }
    count += waiting.length;
  }
  return count;
}
