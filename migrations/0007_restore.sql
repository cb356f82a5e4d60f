-- Books that were set back: devices post again what the books have forgotten (docs/operations.md, "Restoring D1").

-- When a device posted this row again after a restore; it was accepted before, so it is not decided anew.
ALTER TABLE messages ADD COLUMN restored_ms integer;

DROP TRIGGER messages_decide;
CREATE TRIGGER messages_decide BEFORE INSERT ON messages
WHEN NEW.restored_ms IS NULL
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

-- A message with its hold and its end, as its device tells it. Nothing is stored here: inserting writes the message and
-- its transfers, row by row, so that each end is there before the next hold.
CREATE VIEW restored_messages AS
SELECT id, account_id, device_id, period_id, nonce, recipient, category, price_rupiah, accepted_ms, due_ms, expires_ms,
  expect_by_ms, status, reason, rev, ended_ms, 'held' AS money, restored_ms
FROM messages WHERE 0;

CREATE TRIGGER restored_messages_post INSTEAD OF INSERT ON restored_messages
BEGIN
  SELECT RAISE(IGNORE)
  WHERE EXISTS (SELECT 1 FROM messages m WHERE m.id = NEW.id)
    -- What was paid must be there to pay it: a top-up that was forgotten comes first.
    OR (NEW.money IN ('held', 'settle') AND (
      SELECT a.available + a.credit_limit < NEW.price_rupiah FROM accounts a WHERE a.id = NEW.account_id))
    OR (NEW.money <> 'void' AND (
      SELECT p.used >= p.quota FROM package_periods p WHERE p.id = NEW.period_id));

  -- A hold that was given back costs nothing in the end, so the balance need not bear it for the moment in between.
  UPDATE accounts SET credit_limit = credit_limit + NEW.price_rupiah
  WHERE id = NEW.account_id AND NEW.money IN ('void', 'refund');
  UPDATE package_periods SET quota = quota + 1 WHERE id = NEW.period_id AND NEW.money = 'void';

  INSERT INTO messages (
    id, account_id, device_id, key_id, period_id, nonce, recipient, category, price_rupiah, accepted_ms, due_ms,
    expires_ms, expect_by_ms, status, reason, rev, ended_ms, body, text_mac, dup_mac, restored_ms)
  VALUES (
    NEW.id, NEW.account_id, NEW.device_id, 0, NEW.period_id, NEW.nonce, NEW.recipient, NEW.category,
    NEW.price_rupiah, NEW.accepted_ms, NEW.due_ms, NEW.expires_ms, NEW.expect_by_ms, NEW.status, NEW.reason, NEW.rev,
    NEW.ended_ms, NULL, '', NULL, NEW.restored_ms);
  INSERT INTO transfers (ref, leg, kind, account_id, debit, credit, amount, period_id, at_ms)
  SELECT 'message:' || NEW.id, 'end', iif(NEW.money = 'void', 'void', 'settle'), NEW.account_id, 'held',
    iif(NEW.money = 'void', 'available', 'revenue'), NEW.price_rupiah, NEW.period_id, NEW.ended_ms
  WHERE NEW.money IN ('settle', 'void', 'refund');
  INSERT INTO transfers (ref, leg, kind, account_id, debit, credit, amount, period_id, at_ms)
  SELECT 'message:' || NEW.id, 'refund', 'refund', NEW.account_id, 'revenue', 'available', NEW.price_rupiah,
    NEW.period_id, NEW.ended_ms
  WHERE NEW.money = 'refund';

  UPDATE accounts SET credit_limit = credit_limit - NEW.price_rupiah
  WHERE id = NEW.account_id AND NEW.money IN ('void', 'refund');
  UPDATE package_periods SET quota = quota - 1 WHERE id = NEW.period_id AND NEW.money = 'void';
END;
