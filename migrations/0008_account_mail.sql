-- Mail to customers: an address, if they gave one, and what is on its way there.

ALTER TABLE accounts ADD COLUMN email text;

CREATE TABLE account_mails (
  id integer PRIMARY KEY NOT NULL,
  account_id integer NOT NULL,
  type text NOT NULL,
  data text NOT NULL,
  at_ms integer NOT NULL,
  attempts integer DEFAULT 0 NOT NULL,
  next_ms integer NOT NULL
) STRICT;

CREATE INDEX account_mails_due ON account_mails (next_ms);
CREATE INDEX account_mails_account ON account_mails (account_id);

-- Together with the event itself. A storm of events is not a storm of mails: twenty of an account wait at a time.
CREATE TRIGGER account_events_mailed AFTER INSERT ON account_events
WHEN NEW.type = 'endpoint.disabled' AND NEW.data ->> 'stage' IN ('warning', 'disabled')
BEGIN
  INSERT INTO account_mails (account_id, type, data, at_ms, next_ms)
  SELECT a.id, NEW.type, NEW.data, NEW.at_ms, NEW.at_ms FROM accounts a
  WHERE a.id = NEW.account_id AND a.email IS NOT NULL
    AND (SELECT count(*) FROM account_mails m WHERE m.account_id = NEW.account_id) < 20;
END;
