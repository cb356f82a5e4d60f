-- Webhooks of customers, and what devices must know of them. A device's settings have a revision that rises with every
-- change; `settings_told` follows when the device has confirmed it, so that a lost call is seen and made again.

CREATE TABLE endpoints (
  id text PRIMARY KEY NOT NULL,
  account_id integer NOT NULL,
  url text NOT NULL,
  format text NOT NULL CHECK(format IN ('form', 'json')),
  kind text CHECK(kind IN ('inbox', 'tracking')),
  types text,
  devices text,
  allow_http integer DEFAULT 0 NOT NULL,
  enabled integer DEFAULT 1 NOT NULL,
  created_ms integer NOT NULL,
  deleted_ms integer,
  account_after integer NOT NULL,
  pumped_until_ms integer DEFAULT 0 NOT NULL,
  CHECK((format = 'form') = (kind IS NOT NULL))
) STRICT, WITHOUT ROWID;

CREATE INDEX endpoints_account ON endpoints (account_id);
CREATE INDEX endpoints_deleted ON endpoints (deleted_ms) WHERE deleted_ms IS NOT NULL;

ALTER TABLE accounts ADD COLUMN keeps_events integer DEFAULT 0 NOT NULL;
ALTER TABLE accounts ADD COLUMN texts_kept_days integer DEFAULT 30 NOT NULL CHECK(texts_kept_days BETWEEN 1 AND 365);

-- Below it the account is told, once each time it falls so low; NULL for never.
ALTER TABLE accounts ADD COLUMN low_balance_rupiah integer DEFAULT 20000;

ALTER TABLE devices ADD COLUMN texts_kept text DEFAULT 'everybody' NOT NULL CHECK(texts_kept IN ('everybody', 'written_to', 'nobody'));
ALTER TABLE devices ADD COLUMN settings_revision integer DEFAULT 0 NOT NULL;
ALTER TABLE devices ADD COLUMN settings_told integer DEFAULT 0 NOT NULL;

CREATE INDEX devices_untold ON devices (id) WHERE settings_told < settings_revision AND deleted_ms IS NULL;

CREATE TRIGGER endpoints_added AFTER INSERT ON endpoints
BEGIN
  UPDATE devices SET settings_revision = settings_revision + 1
  WHERE account_id = NEW.account_id AND deleted_ms IS NULL;
END;

CREATE TRIGGER endpoints_changed AFTER UPDATE OF kind, types, devices, deleted_ms ON endpoints
WHEN NEW.kind IS NOT OLD.kind OR NEW.types IS NOT OLD.types OR NEW.devices IS NOT OLD.devices
  OR NEW.deleted_ms IS NOT OLD.deleted_ms
BEGIN
  UPDATE devices SET settings_revision = settings_revision + 1
  WHERE account_id = NEW.account_id AND deleted_ms IS NULL;
END;

CREATE TRIGGER accounts_keeping AFTER UPDATE OF keeps_events, texts_kept_days ON accounts
WHEN NEW.keeps_events <> OLD.keeps_events OR NEW.texts_kept_days <> OLD.texts_kept_days
BEGIN
  UPDATE devices SET settings_revision = settings_revision + 1
  WHERE account_id = NEW.id AND deleted_ms IS NULL;
END;

CREATE TRIGGER devices_keeping AFTER UPDATE OF texts_kept ON devices
WHEN NEW.texts_kept <> OLD.texts_kept
BEGIN
  UPDATE devices SET settings_revision = settings_revision + 1 WHERE id = NEW.id;
END;

-- Together with the hold or fee that crosses the line.
CREATE TRIGGER accounts_balance_low AFTER UPDATE OF available ON accounts
WHEN NEW.available + NEW.credit_limit < NEW.low_balance_rupiah
  AND OLD.available + OLD.credit_limit >= OLD.low_balance_rupiah
BEGIN
  INSERT INTO account_events (account_id, id, type, subject, hour_ms, at_ms, data)
  SELECT NEW.id, at.id, 'account.balance_low', at.id, at.now_ms / 3600000 * 3600000, at.now_ms,
    json_object('available', NEW.available + NEW.credit_limit, 'threshold', NEW.low_balance_rupiah)
  FROM (
    SELECT n.now_ms, max(n.now_ms * 1000, coalesce(
      (SELECT max(e.id) + 1 FROM account_events e WHERE e.account_id = NEW.id), 0)) AS id
    FROM (SELECT CAST(unixepoch('subsec') * 1000 AS INTEGER) AS now_ms) n
  ) at;
END;

-- A new device starts as an account without endpoints would have it.
CREATE TRIGGER devices_added AFTER INSERT ON devices
WHEN EXISTS (SELECT 1 FROM endpoints e WHERE e.account_id = NEW.account_id AND e.deleted_ms IS NULL)
  OR EXISTS (SELECT 1 FROM accounts a WHERE a.id = NEW.account_id AND (a.keeps_events = 1 OR a.texts_kept_days <> 30))
BEGIN
  UPDATE devices SET settings_revision = 1 WHERE id = NEW.id;
END;
