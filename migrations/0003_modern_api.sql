-- What /v1 needs beside the old API: keys that end at a given time, devices that were deleted, and the key by which
-- a request may be repeated. The two columns of messages are null for requests without such a key, which cost no
-- row more than before.

ALTER TABLE api_keys ADD COLUMN valid_until_ms integer;
ALTER TABLE devices ADD COLUMN deleted_ms integer;
ALTER TABLE messages ADD COLUMN repeat_key text;
ALTER TABLE messages ADD COLUMN repeat_print text;

CREATE INDEX messages_repeat ON messages (account_id,repeat_key) WHERE repeat_key IS NOT NULL;

-- As before, and: a row whose repeat key stands in an earlier one of the last 24 hours is skipped. An earlier row that
-- another took the place of stands for nothing any more.
DROP TRIGGER messages_decide;
CREATE TRIGGER messages_decide BEFORE INSERT ON messages
BEGIN
  SELECT RAISE(IGNORE)
  WHERE EXISTS (SELECT 1 FROM messages m WHERE m.id = NEW.id)
    OR EXISTS (SELECT 1 FROM abandoned x WHERE x.message_id = NEW.id AND x.nonce = NEW.nonce)
    OR (NEW.repeat_key IS NOT NULL AND EXISTS (
      SELECT 1 FROM messages m
      WHERE m.account_id = NEW.account_id
        AND m.repeat_key = NEW.repeat_key
        AND m.accepted_ms > NEW.accepted_ms - 86400000
        AND m.id IS NOT NEW.supersedes
        AND NOT EXISTS (
          SELECT 1 FROM messages s
          WHERE s.account_id = m.account_id AND s.repeat_key = m.repeat_key AND s.supersedes = m.id)
    ))
    OR EXISTS (
      SELECT 1 FROM messages m
      WHERE m.account_id = NEW.account_id
        AND m.text_mac = NEW.text_mac
        AND m.accepted_ms > NEW.accepted_ms - 60000
        AND m.dup_mac = NEW.dup_mac
        AND m.status NOT IN ('cancel', 'reject')
        AND m.id IS NOT NEW.supersedes
        AND NOT EXISTS (
          SELECT 1 FROM messages s
          WHERE s.account_id = m.account_id AND s.text_mac = m.text_mac
            AND s.accepted_ms > NEW.accepted_ms - 60000 AND s.supersedes = m.id)
        AND (m.due_ms = NEW.due_ms OR (m.due_ms = m.accepted_ms AND NEW.due_ms = NEW.accepted_ms))
    )
    OR EXISTS (SELECT 1 FROM opt_outs o WHERE o.device_id = NEW.device_id AND o.number = NEW.recipient)
    OR (
      SELECT a.owed > 0 OR a.available + a.credit_limit < NEW.price_rupiah
      FROM accounts a WHERE a.id = NEW.account_id
    )
    OR (SELECT p.used >= p.quota FROM package_periods p WHERE p.id = NEW.period_id);
END;
