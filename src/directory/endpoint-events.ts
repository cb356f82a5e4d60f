/**
 * Adds what happened to an endpoint to the account's events, once: an endpoint that lost the answer tells again. Which
 * other endpoints hear of it is not decided here.
 */
import { askD1 } from "../db/ask.ts";
import type { WebhookEvent } from "../domain/event.ts";

/** The event's id is the subject: it happens once, and never grows. */
const WRITE = `
INSERT INTO account_events (account_id, id, type, subject, hour_ms, at_ms, data)
SELECT ?1,
  max(?5 * 1000, coalesce((SELECT max(e.id) + 1 FROM account_events e WHERE e.account_id = ?1), 0)),
  ?2, ?3, ?4, ?5, ?6
WHERE NOT EXISTS (
  SELECT 1 FROM account_events e
  WHERE e.account_id = ?1 AND e.id >= ?5 * 1000 AND e.type = ?2 AND e.subject = ?3)`;

const HOUR_MS = 3_600_000;

export async function recordEndpointEvents(
  db: D1Database,
  accountId: number,
  events: readonly WebhookEvent[],
): Promise<void> {
  const statement = db.prepare(WRITE);
  await askD1("record_endpoint_events", () =>
    db.batch(
      events.map(({ type, id, atMs, data }) =>
        statement.bind(accountId, type, id, atMs - (atMs % HOUR_MS), atMs, JSON.stringify(data)),
      ),
    ),
  );
}
