/**
 * The tables of the Alerts object as an append-only list of steps. A step that has run somewhere is never changed.
 * Holds no rules.
 */
export const STEPS: readonly string[] = [
  `
  CREATE TABLE alerts (
    -- Never given out twice: whoever acknowledges an old list must not hit a newer alert.
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL,
    subject TEXT NOT NULL,
    fields TEXT NOT NULL,
    count INTEGER NOT NULL,
    first_ms INTEGER NOT NULL,
    last_ms INTEGER NOT NULL,
    acknowledged_ms INTEGER,
    UNIQUE (name, subject)
  );
  -- How often a sink was told of an alert, and when it is told again.
  CREATE TABLE tellings (
    alert_id INTEGER NOT NULL,
    channel TEXT NOT NULL,
    times INTEGER NOT NULL,
    next_ms INTEGER NOT NULL,
    PRIMARY KEY (alert_id, channel)
  ) WITHOUT ROWID;
  -- One row a sink: how it stands, and the digest that is on its way there.
  CREATE TABLE channels (
    channel TEXT PRIMARY KEY,
    told_ms INTEGER,
    failing_since_ms INTEGER,
    attempts INTEGER NOT NULL DEFAULT 0,
    next_ms INTEGER NOT NULL DEFAULT 0,
    digest_ms INTEGER,
    -- Ids of the alerts it tells of, and what it says.
    digest_alerts TEXT,
    digest TEXT
  ) WITHOUT ROWID;
  `,
];
