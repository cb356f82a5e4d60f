/**
 * The tables of the Restore object as an append-only list of steps. A step that has run somewhere is never changed.
 * Holds no rules.
 */
export const STEPS: readonly string[] = [
  `
  CREATE TABLE state (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    generation INTEGER NOT NULL,
    held_since_ms INTEGER,
    -- 1 from the raise of a generation to the release.
    restoring INTEGER NOT NULL,
    -- Where the listing of the books' devices stands: the last id seen; null when it is through.
    listed_up_to TEXT,
    -- When the devices are listed next, for those that are new; null when nothing is wanted.
    list_ms INTEGER,
    -- The highest account id that was seen in the books before they were set back.
    newest_account INTEGER NOT NULL,
    -- It must still be taken in the restored books.
    take_account INTEGER NOT NULL,
    alerted_ms INTEGER
  );
  INSERT INTO state (one, generation, restoring, newest_account, take_account) VALUES (1, 0, 0, 0, 0);

  CREATE TABLE devices (
    device_id TEXT PRIMARY KEY,
    account_id INTEGER NOT NULL,
    waid TEXT NOT NULL,
    -- The generation of the books that it was last seen in.
    seen_generation INTEGER NOT NULL,
    -- 1 from a raise of the generation until the books know all that it knows.
    must_tell INTEGER NOT NULL,
    -- 1 once it has taken over what is wanted now.
    told INTEGER NOT NULL DEFAULT 0,
    left_count INTEGER,
    obstacle TEXT,
    failures INTEGER NOT NULL DEFAULT 0,
    next_try_ms INTEGER
  ) WITHOUT ROWID;
  CREATE INDEX devices_by_next_try ON devices (next_try_ms) WHERE next_try_ms IS NOT NULL;
  `,
];
