-- The cron tells webhooks of test messages by when their statuses come due.
CREATE INDEX test_messages_due ON test_messages (due_ms);
