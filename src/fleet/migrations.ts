/**
 * The tables of the Fleet object as an append-only list of steps. A step that has run somewhere is never
 * changed. Holds no rules; refuses to open storage written by a newer version of this code.
 */
import { invariant } from "../domain/result.ts";

const STEPS: readonly string[] = [
  `
  CREATE TABLE hosts (
    host_id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    token_hash TEXT NOT NULL UNIQUE,
    devices_max INTEGER NOT NULL CHECK (devices_max > 0),
    -- The accepted process of this host; null while none is accepted or it is dead.
    boot_id TEXT,
    capacity INTEGER NOT NULL DEFAULT 0,
    client_version TEXT,
    draining INTEGER NOT NULL DEFAULT 0,
    -- The boot has no control socket and is dead at this time; null while it has one.
    gone_by_ms INTEGER
  ) WITHOUT ROWID;

  -- Processes that a newer one of the same host took over from.
  CREATE TABLE retired_boots (
    host_id TEXT NOT NULL,
    boot_id TEXT NOT NULL,
    at_ms INTEGER NOT NULL,
    PRIMARY KEY (host_id, boot_id)
  ) WITHOUT ROWID;

  CREATE TABLE placements (
    device_id TEXT PRIMARY KEY,
    -- 0 until the first assignment.
    placement_id INTEGER NOT NULL DEFAULT 0,
    state TEXT NOT NULL CHECK (state IN ('wanted', 'assigned')),
    -- Where it is assigned, or was last.
    host_id TEXT,
    boot_id TEXT,
    -- The newest report of that host names it.
    running INTEGER NOT NULL DEFAULT 0,
    wanted_ms INTEGER NOT NULL,
    assigned_ms INTEGER NOT NULL DEFAULT 0,
    -- Assignments since it was last seen running or wanted afresh.
    attempts INTEGER NOT NULL DEFAULT 0,
    -- When something must be tried next; null while it runs.
    next_try_ms INTEGER,
    -- A host that the device could not be served by.
    avoid_host_id TEXT,
    -- The device says again and again that it has no bridge, although its host reports it running.
    asked_since_ms INTEGER,
    asked_last_ms INTEGER
  ) WITHOUT ROWID;
  CREATE INDEX placements_by_host ON placements (host_id, boot_id);
  CREATE INDEX placements_by_next_try ON placements (next_try_ms) WHERE next_try_ms IS NOT NULL;

  CREATE TABLE counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;

  CREATE TABLE agenda (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    due_ms INTEGER,
    -- Silence of a host counts from here at the earliest: nobody listened before.
    listening_since_ms INTEGER NOT NULL
  );
  `,
  `
  -- Devices that have yet to answer that a revoked host is dismissed.
  CREATE TABLE dismissals (
    device_id TEXT NOT NULL,
    host_id TEXT NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    next_try_ms INTEGER NOT NULL,
    PRIMARY KEY (device_id, host_id)
  ) WITHOUT ROWID;
  CREATE INDEX dismissals_by_next_try ON dismissals (next_try_ms);
  `,
  `
  -- The operator wants this host empty, whatever process of it runs.
  ALTER TABLE hosts ADD COLUMN drained INTEGER NOT NULL DEFAULT 0;
  -- The version of the bridge its process speaks.
  ALTER TABLE hosts ADD COLUMN protocol INTEGER;
  -- Versions of WhatsApp's client that WhatsApp refuses: nobody logs in with them.
  CREATE TABLE refused_clients (version TEXT PRIMARY KEY, at_ms INTEGER NOT NULL) WITHOUT ROWID;
  `,
  `
  -- Phones that WhatsApp logged out, by their devices' word; many at once keep archived keys from being dropped.
  CREATE TABLE log_outs (device_id TEXT PRIMARY KEY, host_id TEXT, at_ms INTEGER NOT NULL) WITHOUT ROWID;
  CREATE INDEX log_outs_by_time ON log_outs (at_ms);
  CREATE TABLE log_outs_hold (one INTEGER PRIMARY KEY CHECK (one = 1), since_ms INTEGER NOT NULL);
  `,
];

/** Brings the tables up to date, each step in one transaction. */
export function migrate(storage: DurableObjectStorage): void {
  const { sql } = storage;
  sql.exec("CREATE TABLE IF NOT EXISTS schema_version (version INTEGER NOT NULL)");
  const rows = sql.exec<{ version: number }>("SELECT version FROM schema_version").toArray();
  const found = rows[0]?.version ?? 0;
  invariant(found <= STEPS.length, "storage was written by a newer version");
  if (found === STEPS.length) return;
  storage.transactionSync(() => {
    for (const step of STEPS.slice(found)) sql.exec(step);
    sql.exec("DELETE FROM schema_version");
    sql.exec("INSERT INTO schema_version (version) VALUES (?)", STEPS.length);
  });
}
