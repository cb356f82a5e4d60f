/**
 * The tables of an Endpoint object as an append-only list of steps. A step that has run somewhere is never changed.
 * A blank object is left untouched: tables come with its identity. Refuses storage written by a newer version.
 */
import { invariant } from "../domain/result.ts";

const STEPS: readonly string[] = [
  `
  -- One row: whose webhook this is, how it stands, and how much is kept.
  CREATE TABLE endpoint (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    endpoint_id TEXT NOT NULL,
    account_id INTEGER NOT NULL,
    settings TEXT NOT NULL,
    secret TEXT NOT NULL,
    -- Signs as well until then.
    former_secret TEXT,
    former_secret_until_ms INTEGER,
    disabled_reason TEXT,
    disabled_ms INTEGER,
    -- Since when nothing but failures came, and when the account was warned of it.
    failing_since_ms INTEGER,
    warned_ms INTEGER,
    -- Attempts that failed before this time are made again without waiting for their turn.
    recovered_ms INTEGER,
    queue_full_ms INTEGER,
    last_delivered_ms INTEGER,
    retention_ms INTEGER,
    waiting INTEGER NOT NULL,
    waiting_bytes INTEGER NOT NULL,
    delivered INTEGER NOT NULL,
    dead INTEGER NOT NULL
  ) WITHOUT ROWID;

  -- How far each sender's numbers are taken over.
  CREATE TABLE sources (source TEXT PRIMARY KEY, highest INTEGER NOT NULL) WITHOUT ROWID;

  CREATE TABLE events (
    n INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    type TEXT NOT NULL,
    order_key TEXT NOT NULL,
    at_ms INTEGER NOT NULL,
    accepted_ms INTEGER NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('waiting', 'delivered', 'dead')),
    -- 1 on the one waiting event of its order key that may be tried; the others have no due time.
    head INTEGER NOT NULL,
    due_ms INTEGER,
    attempts INTEGER NOT NULL,
    -- The last failure; null before one, and when the receiver itself named the time of the next attempt.
    failed_ms INTEGER,
    -- Set while an attempt is under way.
    flight_ms INTEGER,
    ended_ms INTEGER,
    dead_reason TEXT,
    bytes INTEGER NOT NULL,
    -- The event's data as JSON, sealed; null once forgotten.
    data BLOB
  );
  CREATE INDEX events_by_state ON events (state, n);
  CREATE INDEX events_by_key ON events (order_key, n) WHERE state = 'waiting';
  CREATE INDEX events_by_due ON events (due_ms) WHERE head = 1;
  CREATE UNIQUE INDEX events_one_head ON events (order_key) WHERE head = 1;
  CREATE INDEX events_in_flight ON events (flight_ms) WHERE flight_ms IS NOT NULL;

  CREATE TABLE attempts (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    event_n INTEGER NOT NULL,
    event_id TEXT NOT NULL,
    type TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    started_ms INTEGER NOT NULL,
    duration_ms INTEGER,
    outcome TEXT NOT NULL,
    status INTEGER,
    next_ms INTEGER,
    -- Sealed as well: it may quote what was sent.
    answer BLOB
  );
  CREATE INDEX attempts_by_event ON attempts (event_n);

  -- What the account must be told about this endpoint, until the books have it.
  CREATE TABLE notices (id TEXT PRIMARY KEY, event TEXT NOT NULL) WITHOUT ROWID;
  `,
];

/** True once the object has its tables; reading this writes nothing. */
export function hasTables(sql: SqlStorage): boolean {
  return (
    sql
      .exec("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'schema_version'")
      .toArray().length > 0
  );
}

/** Brings the tables up to date in one transaction. */
export function migrate(storage: DurableObjectStorage): void {
  storage.transactionSync(() => {
    const { sql } = storage;
    sql.exec("CREATE TABLE IF NOT EXISTS schema_version (version INTEGER NOT NULL)");
    const rows = sql.exec<{ version: number }>("SELECT version FROM schema_version").toArray();
    const found = rows[0]?.version ?? 0;
    invariant(found <= STEPS.length, "storage was written by a newer version");
    if (found === STEPS.length) return;
    for (const step of STEPS.slice(found)) sql.exec(step);
    sql.exec("DELETE FROM schema_version");
    sql.exec("INSERT INTO schema_version (version) VALUES (?)", STEPS.length);
  });
}
