-- The tables. Generated from src/db/schema.ts, then STRICT and WITHOUT ROWID added by hand: a table with a text or
-- composite key costs one written row instead of two that way.

CREATE TABLE abandoned (
  message_id integer NOT NULL,
  nonce text NOT NULL,
  at_ms integer NOT NULL,
  PRIMARY KEY(message_id, nonce)
) STRICT, WITHOUT ROWID;

CREATE TABLE accounts (
  id integer PRIMARY KEY NOT NULL,
  name text NOT NULL,
  status text DEFAULT 'active' NOT NULL,
  zone text DEFAULT 'Asia/Jakarta' NOT NULL,
  utc_offset_s integer GENERATED ALWAYS AS (CASE zone WHEN 'Asia/Jakarta' THEN 25200 WHEN 'Asia/Makassar' THEN 28800 ELSE 32400 END) VIRTUAL,
  text_length_max integer DEFAULT 1000 NOT NULL,
  balance_expires_on text,
  credit_limit integer DEFAULT 0 NOT NULL,
  available integer DEFAULT 0 NOT NULL,
  held integer DEFAULT 0 NOT NULL,
  owed integer DEFAULT 0 NOT NULL,
  created_ms integer NOT NULL,
  CONSTRAINT accounts_zone CHECK(zone IN ('Asia/Jakarta', 'Asia/Makassar', 'Asia/Jayapura')),
  CONSTRAINT accounts_status CHECK(status IN ('active', 'suspended', 'closed')),
  CONSTRAINT accounts_text_length_max CHECK(text_length_max BETWEEN 10 AND 1000),
  CONSTRAINT accounts_credit_limit CHECK(credit_limit >= 0),
  CONSTRAINT accounts_available CHECK(available >= -credit_limit),
  CONSTRAINT accounts_held CHECK(held >= 0),
  CONSTRAINT accounts_owed CHECK(owed >= 0)
) STRICT;

CREATE TABLE address_rules (
  key_id integer NOT NULL,
  low text NOT NULL,
  high text NOT NULL,
  PRIMARY KEY(key_id, low, high)
) STRICT, WITHOUT ROWID;

CREATE TABLE api_keys (
  id integer PRIMARY KEY NOT NULL,
  account_id integer NOT NULL,
  hash text NOT NULL,
  prefix text NOT NULL,
  name text NOT NULL,
  revoked integer DEFAULT false NOT NULL,
  any_address integer DEFAULT false NOT NULL,
  encoding text DEFAULT 'auto' NOT NULL,
  dedupe_window integer DEFAULT true NOT NULL,
  default_category text DEFAULT 'notification' NOT NULL,
  created_ms integer NOT NULL
) STRICT;

CREATE UNIQUE INDEX api_keys_hash ON api_keys (hash);
CREATE INDEX api_keys_account ON api_keys (account_id);
CREATE TABLE devices (
  id text PRIMARY KEY NOT NULL,
  waid text NOT NULL,
  account_id integer NOT NULL,
  name text NOT NULL,
  status text DEFAULT 'unpaired' NOT NULL,
  phone text,
  status_revision integer DEFAULT 0 NOT NULL,
  created_ms integer NOT NULL
) STRICT, WITHOUT ROWID;

CREATE UNIQUE INDEX devices_waid ON devices (waid);
CREATE INDEX devices_account ON devices (account_id);
CREATE TABLE messages (
  id integer PRIMARY KEY NOT NULL,
  account_id integer NOT NULL,
  device_id text NOT NULL,
  key_id integer NOT NULL,
  period_id integer NOT NULL,
  nonce text NOT NULL,
  recipient text NOT NULL,
  category text NOT NULL,
  price_rupiah integer NOT NULL,
  accepted_ms integer NOT NULL,
  due_ms integer NOT NULL,
  expires_ms integer NOT NULL,
  expect_by_ms integer NOT NULL,
  status text DEFAULT 'pending' NOT NULL,
  reason text,
  rev integer DEFAULT 0 NOT NULL,
  ended_ms integer,
  body text,
  text_mac text NOT NULL,
  dup_mac text,
  supersedes integer
) STRICT;

CREATE INDEX messages_text ON messages (account_id,text_mac,accepted_ms);
CREATE INDEX messages_scheduled ON messages (due_ms) WHERE due_ms >= accepted_ms + 3600000;
CREATE TABLE opt_outs (
  device_id text NOT NULL,
  number text NOT NULL,
  at_ms integer NOT NULL,
  PRIMARY KEY(device_id, number)
) STRICT, WITHOUT ROWID;

CREATE TABLE package_periods (
  id integer PRIMARY KEY NOT NULL,
  subscription_id integer NOT NULL,
  device_id text NOT NULL,
  starts_ms integer NOT NULL,
  ends_ms integer NOT NULL,
  quota integer,
  used integer DEFAULT 0 NOT NULL,
  price_rupiah integer NOT NULL,
  CONSTRAINT package_periods_bounds CHECK(ends_ms > starts_ms),
  CONSTRAINT package_periods_used CHECK(used >= 0 AND (quota IS NULL OR used <= quota)),
  CONSTRAINT package_periods_price CHECK(price_rupiah >= 0)
) STRICT;

CREATE UNIQUE INDEX package_periods_device ON package_periods (device_id,starts_ms);
CREATE TABLE plans (
  code text PRIMARY KEY NOT NULL,
  name text NOT NULL,
  quota integer
) STRICT, WITHOUT ROWID;

CREATE TABLE scan_cursors (
  name text PRIMARY KEY NOT NULL,
  position integer NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE subscriptions (
  id integer PRIMARY KEY NOT NULL,
  device_id text NOT NULL,
  plan_code text NOT NULL,
  anchor_day integer NOT NULL,
  active integer DEFAULT true NOT NULL,
  created_ms integer NOT NULL
) STRICT;

CREATE UNIQUE INDEX subscriptions_device ON subscriptions (device_id);
CREATE TABLE tariffs (
  item text NOT NULL,
  starts_ms integer NOT NULL,
  price_rupiah integer NOT NULL,
  PRIMARY KEY(item, starts_ms),
  CONSTRAINT tariffs_price CHECK(price_rupiah >= 0)
) STRICT, WITHOUT ROWID;

CREATE TABLE transfers (
  ref text NOT NULL,
  leg text NOT NULL,
  kind text NOT NULL,
  account_id integer NOT NULL,
  debit text NOT NULL,
  credit text NOT NULL,
  amount integer NOT NULL,
  period_id integer,
  at_ms integer NOT NULL,
  PRIMARY KEY(ref, leg),
  CONSTRAINT transfers_amount CHECK(amount >= 0),
  CONSTRAINT transfers_two_books CHECK(debit <> credit)
) STRICT, WITHOUT ROWID;
