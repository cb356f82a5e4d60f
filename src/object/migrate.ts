/**
 * Tables of a Durable Object as an append-only list of steps: runs those that have not run, in one transaction. A step
 * that has run somewhere is never changed. Refuses to open storage written by a newer version of the code.
 */
import { invariant } from "../domain/result.ts";

export function migrate(storage: DurableObjectStorage, steps: readonly string[]): void {
  const { sql } = storage;
  storage.transactionSync(() => {
    sql.exec("CREATE TABLE IF NOT EXISTS schema_version (version INTEGER NOT NULL)");
    const rows = sql.exec<{ version: number }>("SELECT version FROM schema_version").toArray();
    const found = rows[0]?.version ?? 0;
    invariant(found <= steps.length, "storage was written by a newer version");
    if (found === steps.length) return;
    for (const step of steps.slice(found)) sql.exec(step);
    sql.exec("DELETE FROM schema_version");
    sql.exec("INSERT INTO schema_version (version) VALUES (?)", steps.length);
  });
}
