/**
 * The sealed keys of a pairing: creds, Signal sessions, pre-keys. Values are ciphertext; this file cannot read
 * them. Refuses to overwrite a pre-key with another one. Keys of an ended pairing stay until archives.ts drops them.
 */
import type { KeyRow, KeyType } from "../bridge/wire.ts";
import { lazyKeyTypes } from "../bridge/wire.ts";

type StoredKeyRow = { type: KeyType; id: string; value: string };

export class SessionStore {
  readonly #sql: SqlStorage;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
  }

  /** What a host needs at once: everything that is not read one by one. */
  rowsAtOpen(generation: number): KeyRow[] {
    return this.#sql
      .exec<StoredKeyRow>(
        `SELECT type, id, value FROM session_rows
         WHERE generation = ? AND type NOT IN (SELECT value FROM json_each(?))`,
        generation,
        JSON.stringify(lazyKeyTypes),
      )
      .toArray();
  }

  /** The rows that exist; an id that is missing is proved absent. */
  get(generation: number, keys: readonly { type: KeyType; ids: readonly string[] }[]): KeyRow[] {
    return keys.flatMap(({ type, ids }) =>
      this.#sql
        .exec<StoredKeyRow>(
          `SELECT type, id, value FROM session_rows
           WHERE generation = ? AND type = ? AND id IN (SELECT value FROM json_each(?))`,
          generation,
          type,
          JSON.stringify(ids),
        )
        .toArray(),
    );
  }

  /** True when a row would put another value under a pre-key id in use: two sides then hold different keys. */
  overwritesPreKey(generation: number, rows: readonly KeyRow[]): boolean {
    const offered = new Map<string, string>();
    for (const row of rows) {
      if (row.type === "pre-key" && row.value !== null) offered.set(row.id, row.value);
    }
    if (offered.size === 0) return false;
    return this.get(generation, [{ type: "pre-key", ids: [...offered.keys()] }]).some(
      (stored) => stored.value !== offered.get(stored.id),
    );
  }

  apply(generation: number, rows: readonly KeyRow[]): void {
    for (const row of rows) {
      if (row.value === null) {
        this.#sql.exec(
          "DELETE FROM session_rows WHERE generation = ? AND type = ? AND id = ?",
          generation,
          row.type,
          row.id,
        );
      } else {
        this.#sql.exec(
          `INSERT INTO session_rows (generation, type, id, value) VALUES (?, ?, ?, ?)
           ON CONFLICT (generation, type, id) DO UPDATE SET value = excluded.value`,
          generation,
          row.type,
          row.id,
          row.value,
        );
      }
    }
  }

  hasRows(generation: number): boolean {
    return (
      this.#sql
        .exec("SELECT 1 FROM session_rows WHERE generation = ? LIMIT 1", generation)
        .toArray().length > 0
    );
  }

  archive(generation: number, nowMs: number): void {
    this.#sql.exec(
      "INSERT INTO archived_generations (generation, archived_ms) VALUES (?, ?) ON CONFLICT DO NOTHING",
      generation,
      nowMs,
    );
  }

  /** When the oldest archive was made; null without one. */
  oldestArchiveMs(): number | null {
    return this.#sql
      .exec<{ atMs: number | null }>("SELECT min(archived_ms) AS atMs FROM archived_generations")
      .one().atMs;
  }

  /** Drops what was archived by then. */
  dropArchives(upToMs: number): void {
    const old = this.#sql
      .exec<{ generation: number }>(
        "SELECT generation FROM archived_generations WHERE archived_ms <= ?",
        upToMs,
      )
      .toArray();
    for (const { generation } of old) {
      this.#sql.exec("DELETE FROM session_rows WHERE generation = ?", generation);
      this.#sql.exec("DELETE FROM archived_generations WHERE generation = ?", generation);
    }
  }
}
