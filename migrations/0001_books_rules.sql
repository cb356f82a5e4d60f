-- What the tables refuse and what moves by itself. Accepting a message is one INSERT ... SELECT of all its packets:
-- a trigger decides row by row, sees the rows before it, and skips a row without harming its neighbours.

CREATE TRIGGER messages_decide BEFORE INSERT ON messages
BEGIN
  SELECT RAISE(IGNORE)
  WHERE EXISTS (SELECT 1 FROM messages m WHERE m.id = NEW.id)
    OR EXISTS (SELECT 1 FROM abandoned x WHERE x.message_id = NEW.id AND x.nonce = NEW.nonce)
    OR EXISTS (
      SELECT 1 FROM messages m
      WHERE m.account_id = NEW.account_id
        AND m.text_mac = NEW.text_mac
        AND m.accepted_ms > NEW.accepted_ms - 60000
        AND m.dup_mac = NEW.dup_mac
        AND m.status NOT IN ('cancel', 'reject')
        AND m.id IS NOT NEW.supersedes
        AND (m.due_ms = NEW.due_ms OR (m.due_ms = m.accepted_ms AND NEW.due_ms = NEW.accepted_ms))
    )
    OR EXISTS (SELECT 1 FROM opt_outs o WHERE o.device_id = NEW.device_id AND o.number = NEW.recipient)
    OR (
      SELECT a.owed > 0 OR a.available + a.credit_limit < NEW.price_rupiah
      FROM accounts a WHERE a.id = NEW.account_id
    )
    OR (SELECT p.used >= p.quota FROM package_periods p WHERE p.id = NEW.period_id);
END;

CREATE TRIGGER messages_hold AFTER INSERT ON messages
BEGIN
  INSERT INTO transfers (ref, leg, kind, account_id, debit, credit, amount, period_id, at_ms)
  VALUES (
    'message:' || NEW.id, 'hold', 'hold', NEW.account_id, 'available', 'held',
    NEW.price_rupiah, NEW.period_id, NEW.accepted_ms
  );
END;

CREATE TRIGGER transfers_shape BEFORE INSERT ON transfers
BEGIN
  SELECT RAISE(ABORT, 'transfer of no known kind')
  WHERE NEW.leg || ':' || NEW.kind || ':' || NEW.debit || ':' || NEW.credit NOT IN (
    'hold:hold:available:held',
    'end:settle:held:revenue',
    'end:void:held:available',
    'refund:refund:revenue:available',
    'post:top_up:cash:available'
  );
  SELECT RAISE(ABORT, 'transfer without an account')
  WHERE NOT EXISTS (SELECT 1 FROM accounts a WHERE a.id = NEW.account_id);
END;

CREATE TRIGGER transfers_move AFTER INSERT ON transfers
BEGIN
  UPDATE accounts
  SET available = available + NEW.amount * ((NEW.credit = 'available') - (NEW.debit = 'available')),
    held = held + NEW.amount * ((NEW.credit = 'held') - (NEW.debit = 'held')),
    owed = owed + NEW.amount * ((NEW.debit = 'owed') - (NEW.credit = 'owed'))
  WHERE id = NEW.account_id;
  UPDATE package_periods
  SET used = used + (NEW.kind = 'hold') - (NEW.kind = 'void')
  WHERE id = NEW.period_id AND NEW.kind IN ('hold', 'void');
END;

CREATE TRIGGER transfers_keep BEFORE UPDATE ON transfers
BEGIN
  SELECT RAISE(ABORT, 'transfers never change');
END;

CREATE TRIGGER transfers_stay BEFORE DELETE ON transfers
BEGIN
  SELECT RAISE(ABORT, 'transfers are never deleted');
END;
