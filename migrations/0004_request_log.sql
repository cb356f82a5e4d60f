-- The request log of each account, the operator's list of unknown keys, account events, and what test keys leave.

-- Lines of one account that one isolate gathered, as one row: `last_line` numbers the newest of them.
CREATE TABLE request_log (
  account_id integer NOT NULL,
  last_line integer NOT NULL,
  line_count integer NOT NULL,
  at_ms integer NOT NULL,
  lines text NOT NULL,
  PRIMARY KEY(account_id, last_line)
) STRICT, WITHOUT ROWID;

-- The newest 10,000 lines of an account are kept, to within one row.
CREATE TRIGGER request_log_bound AFTER INSERT ON request_log
BEGIN
  DELETE FROM request_log WHERE account_id = NEW.account_id AND last_line <= NEW.last_line - 10000;
END;

CREATE TABLE unknown_key_requests (
  hour_ms integer NOT NULL,
  address text NOT NULL,
  request_count integer NOT NULL,
  last_ms integer NOT NULL,
  key_prefix text NOT NULL,
  endpoint text NOT NULL,
  request_id text NOT NULL,
  PRIMARY KEY(hour_ms, address)
) STRICT, WITHOUT ROWID;

-- Strangers have as many addresses as they like; an hour holds a thousand of them.
CREATE TRIGGER unknown_key_requests_bound BEFORE INSERT ON unknown_key_requests
BEGIN
  SELECT RAISE(IGNORE)
  WHERE NOT EXISTS (
      SELECT 1 FROM unknown_key_requests u WHERE u.hour_ms = NEW.hour_ms AND u.address = NEW.address)
    AND (SELECT count(*) FROM unknown_key_requests u WHERE u.hour_ms = NEW.hour_ms) >= 1000;
END;

-- Ids rise with time. An event that grows within its hour takes a new id, so that no reader misses the new count.
CREATE TABLE account_events (
  account_id integer NOT NULL,
  id integer NOT NULL,
  type text NOT NULL,
  subject text NOT NULL,
  hour_ms integer NOT NULL,
  at_ms integer NOT NULL,
  data text NOT NULL,
  PRIMARY KEY(account_id, id)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER account_events_grow AFTER INSERT ON account_events
BEGIN
  DELETE FROM account_events
  WHERE account_id = NEW.account_id AND id >= NEW.hour_ms * 1000 AND id < NEW.id
    AND type = NEW.type AND subject = NEW.subject AND hour_ms = NEW.hour_ms;
END;

ALTER TABLE api_keys ADD COLUMN mode text DEFAULT 'live' NOT NULL CHECK(mode IN ('live', 'test'));

-- Which of the two a key is can be seen by its first digits; whoever reads them must not be wrong.
CREATE TRIGGER api_keys_mode BEFORE INSERT ON api_keys
WHEN (NEW.mode = 'test') <> (NEW.prefix GLOB '7e57*')
BEGIN
  SELECT RAISE(ABORT, 'a key begins with 7e57 exactly if it is a test key');
END;

CREATE TABLE test_messages (
  account_id integer NOT NULL,
  id integer NOT NULL,
  waid text NOT NULL,
  key_id integer NOT NULL,
  nonce text NOT NULL,
  recipient text NOT NULL,
  category text NOT NULL,
  price_rupiah integer NOT NULL,
  accepted_ms integer NOT NULL,
  due_ms integer NOT NULL,
  expires_ms integer NOT NULL,
  dup_mac text,
  repeat_key text,
  repeat_print text,
  ends_unsent_ms integer,
  PRIMARY KEY(account_id, id)
) STRICT, WITHOUT ROWID;

-- Decides what depends on the rows before it: id taken, duplicate, repeated. Nothing is held, so nothing else does.
-- An id is its second since 2025-01-01 times 100,000 and a random part: 66 s hold the duplicate window, a day and 6 s
-- that of repeats.
CREATE TRIGGER test_messages_decide BEFORE INSERT ON test_messages
BEGIN
  SELECT RAISE(IGNORE)
  WHERE EXISTS (
    SELECT 1 FROM test_messages t
    WHERE t.account_id = NEW.account_id AND t.id > NEW.id - 6600000
      AND (t.id = NEW.id OR (t.dup_mac = NEW.dup_mac AND t.accepted_ms > NEW.accepted_ms - 60000
        AND coalesce(t.ends_unsent_ms > NEW.accepted_ms, 1)
        AND (t.due_ms = NEW.due_ms OR (t.due_ms = t.accepted_ms AND NEW.due_ms = NEW.accepted_ms)))))
    OR (NEW.repeat_key IS NOT NULL AND EXISTS (
      SELECT 1 FROM test_messages t
      WHERE t.account_id = NEW.account_id AND t.id > NEW.id - 8640600000 AND t.repeat_key = NEW.repeat_key
        AND t.accepted_ms > NEW.accepted_ms - 86400000));
END;
