/**
 * The tables of a Device object as an append-only list of steps. A step that has run somewhere is never changed.
 * A blank object is left untouched: tables come with its identity. Refuses storage written by a newer version.
 */
import { invariant } from "../domain/result.ts";

const STEPS: readonly string[] = [
  `
  -- One row: whose phone this is and how it stands.
  CREATE TABLE device (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    device_id TEXT NOT NULL,
    account_id INTEGER NOT NULL,
    waid TEXT NOT NULL,
    status TEXT NOT NULL,
    status_rev INTEGER NOT NULL,
    mirrored_rev INTEGER NOT NULL,
    paired INTEGER NOT NULL,
    phone TEXT,
    lid TEXT,
    generation INTEGER NOT NULL,
    -- The running pairing or its end.
    pairing_phone TEXT,
    pairing_since_ms INTEGER,
    pairing_qr TEXT,
    pairing_code TEXT,
    pairing_expires_ms INTEGER,
    greet INTEGER NOT NULL,
    unlinking_since_ms INTEGER,
    -- The epoch whose keys are accepted; 0 while none is.
    epoch INTEGER NOT NULL,
    epoch_max INTEGER NOT NULL,
    -- The epoch under which the session was last said to be open, 0 once it was said to be otherwise.
    session_epoch INTEGER NOT NULL,
    drained_ms INTEGER,
    -- The newest command that is not about a message: {kind, phone, epoch, seq}.
    control TEXT,
    retention_ms INTEGER,
    -- The fleet must still be told that no host is wanted.
    release_due INTEGER NOT NULL
  );

  CREATE TABLE outbox (
    id INTEGER PRIMARY KEY,
    nonce TEXT,
    recipient TEXT NOT NULL,
    body TEXT,
    category TEXT NOT NULL,
    priority INTEGER NOT NULL,
    price_rupiah INTEGER NOT NULL,
    period_id INTEGER NOT NULL,
    accepted_ms INTEGER NOT NULL,
    due_ms INTEGER NOT NULL,
    expires_ms INTEGER NOT NULL,
    generation INTEGER NOT NULL,
    state TEXT NOT NULL,
    reason TEXT,
    -- 1 waits for its hand-over, 2 is undecided or not yet in the books, NULL needs nothing.
    open INTEGER,
    next_ms INTEGER NOT NULL,
    wa_id TEXT,
    attempts INTEGER NOT NULL,
    committed_attempt INTEGER NOT NULL,
    attempts_closed INTEGER NOT NULL,
    take_backs INTEGER NOT NULL,
    gets INTEGER NOT NULL,
    first_handover_ms INTEGER,
    last_handover_ms INTEGER,
    -- Of the newest command for it.
    epoch INTEGER,
    command_seq INTEGER,
    -- The epochs under which its key commits were recorded.
    commit_epoch_1 INTEGER,
    commit_epoch_2 INTEGER,
    -- The host's fact that took it back last, so that its repetition changes nothing.
    take_back_n INTEGER,
    money TEXT NOT NULL,
    money_dirty INTEGER NOT NULL,
    status_dirty INTEGER NOT NULL,
    rev INTEGER NOT NULL,
    delivered_ms INTEGER,
    ended_ms INTEGER,
    history TEXT NOT NULL
  );
  CREATE INDEX outbox_open ON outbox (open, priority, next_ms) WHERE open IS NOT NULL;
  CREATE INDEX outbox_wa_id ON outbox (wa_id) WHERE wa_id IS NOT NULL;

  CREATE TABLE session_rows (
    generation INTEGER NOT NULL,
    type TEXT NOT NULL,
    id TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (generation, type, id)
  ) WITHOUT ROWID;
  CREATE TABLE archived_generations (generation INTEGER PRIMARY KEY, archived_ms INTEGER NOT NULL);

  CREATE TABLE epochs (
    epoch INTEGER PRIMARY KEY,
    placement_id INTEGER NOT NULL,
    host_id TEXT NOT NULL,
    boot_id TEXT NOT NULL,
    resume_hash TEXT,
    keys_seq INTEGER NOT NULL,
    fact_n INTEGER NOT NULL
  );
  CREATE TABLE tickets (
    hash TEXT PRIMARY KEY,
    epoch INTEGER NOT NULL,
    host_id TEXT NOT NULL,
    boot_id TEXT NOT NULL,
    expires_ms INTEGER NOT NULL
  ) WITHOUT ROWID;

  CREATE TABLE inbound (
    sender TEXT NOT NULL,
    wa_id TEXT NOT NULL,
    chat TEXT NOT NULL,
    from_me INTEGER NOT NULL,
    push_name TEXT,
    kind TEXT NOT NULL,
    body TEXT,
    sent_ms INTEGER NOT NULL,
    received_ms INTEGER NOT NULL,
    PRIMARY KEY (sender, wa_id)
  ) WITHOUT ROWID;
  CREATE TABLE known_lids (lid TEXT PRIMARY KEY, phone TEXT NOT NULL) WITHOUT ROWID;

  CREATE TABLE balance_checks (key_id INTEGER PRIMARY KEY, at_ms INTEGER NOT NULL);
  CREATE TABLE counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
  `,
  `
  -- When the device was deleted.
  ALTER TABLE device ADD COLUMN closed_ms INTEGER;
  `,
  `
  -- What the account wants of this device, as the gateway told it last.
  ALTER TABLE device ADD COLUMN settings_rev INTEGER NOT NULL DEFAULT 0;
  ALTER TABLE device ADD COLUMN keeps_events INTEGER NOT NULL DEFAULT 0;
  ALTER TABLE device ADD COLUMN texts_kept TEXT NOT NULL DEFAULT 'everybody';
  ALTER TABLE device ADD COLUMN texts_kept_ms INTEGER NOT NULL DEFAULT 2592000000;
  -- The status that became an event last, and up to which time of acceptance waiting was told.
  ALTER TABLE device ADD COLUMN told_status TEXT;
  ALTER TABLE device ADD COLUMN told_waiting_ms INTEGER NOT NULL DEFAULT 0;

  -- What happened, in its order: names the message or text it is about and holds no text itself. The newest row
  -- stays for ever, so that no number is given out twice.
  CREATE TABLE events (
    n INTEGER PRIMARY KEY,
    type TEXT NOT NULL,
    at_ms INTEGER NOT NULL,
    -- The id of a message, or the number of a text that came in.
    ref INTEGER,
    reason TEXT,
    until_ms INTEGER,
    phone TEXT
  );
  -- An endpoint of the customer, and the last event it acknowledged.
  CREATE TABLE feeds (
    endpoint_id TEXT PRIMARY KEY,
    types TEXT,
    acked_n INTEGER NOT NULL
  ) WITHOUT ROWID;
  -- Numbers written to; filled only while texts of others are not kept.
  CREATE TABLE written_to (number TEXT PRIMARY KEY) WITHOUT ROWID;

  -- Texts that came in get a number of their own, by which they are listed. From here on texts are sealed (blobs), here
  -- and in the outbox; those stored before stay as they are until they are forgotten.
  CREATE TABLE numbered_inbound (
    n INTEGER PRIMARY KEY,
    sender TEXT NOT NULL,
    wa_id TEXT NOT NULL,
    chat TEXT NOT NULL,
    lid TEXT,
    from_me INTEGER NOT NULL,
    push_name TEXT,
    kind TEXT NOT NULL,
    body TEXT,
    sent_ms INTEGER NOT NULL,
    received_ms INTEGER NOT NULL,
    UNIQUE (sender, wa_id)
  );
  INSERT INTO numbered_inbound (sender, wa_id, chat, from_me, push_name, kind, body, sent_ms, received_ms)
    SELECT sender, wa_id, chat, from_me, push_name, kind, body, sent_ms, received_ms
    FROM inbound ORDER BY received_ms, sent_ms;
  DROP TABLE inbound;
  ALTER TABLE numbered_inbound RENAME TO inbound;
  `,
  `
  -- For a restore of the books: which one this device has heard of, since when it hands nothing over, and up to which
  -- message it has told them anew.
  ALTER TABLE device ADD COLUMN books_generation INTEGER NOT NULL DEFAULT 0;
  ALTER TABLE device ADD COLUMN held_since_ms INTEGER;
  ALTER TABLE device ADD COLUMN repost_after INTEGER;
  ALTER TABLE device ADD COLUMN repost_obstacle TEXT;
  `,
  `
  -- Why the phone is paused; null while it is not.
  ALTER TABLE device ADD COLUMN paused_reason TEXT;
  -- JSON: when WhatsApp closed the open session within the last hour, and when its last connections were tried.
  ALTER TABLE device ADD COLUMN closes TEXT NOT NULL DEFAULT '[]';
  ALTER TABLE device ADD COLUMN attempts TEXT NOT NULL DEFAULT '[]';
  -- When the session was opened again last.
  ALTER TABLE device ADD COLUMN opened_ms INTEGER;
  -- WhatsApp lets no new chats be started until then; whether it has named that end; since when; when it was asked
  -- last, and when the last such time ended.
  ALTER TABLE device ADD COLUMN restricted_until_ms INTEGER;
  ALTER TABLE device ADD COLUMN restricted_known INTEGER NOT NULL DEFAULT 0;
  ALTER TABLE device ADD COLUMN restricted_since_ms INTEGER NOT NULL DEFAULT 0;
  ALTER TABLE device ADD COLUMN restriction_asked_ms INTEGER NOT NULL DEFAULT 0;
  ALTER TABLE device ADD COLUMN restriction_lifted_ms INTEGER;

  -- Numbers this phone has a chat with.
  CREATE TABLE known_chats (number TEXT PRIMARY KEY) WITHOUT ROWID;
  INSERT OR IGNORE INTO known_chats (number)
    SELECT recipient FROM outbox WHERE state IN ('sent', 'received', 'read') AND recipient <> '';
  INSERT OR IGNORE INTO known_chats (number)
    SELECT replace(sender, 'me>', '') FROM inbound
    WHERE sender <> '' AND replace(sender, 'me>', '') NOT GLOB '*[^0-9]*';
  `,
  `
  -- The first of the events that were given up before this endpoint heard of them; null when there are none.
  ALTER TABLE feeds ADD COLUMN given_up_n INTEGER;
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
