/**
 * What an account should hear without having asked, in the order of `id`. They are written together with what they
 * tell of (directory/request-log.ts); here they are read. Statuses of test messages are among them on their way to
 * webhooks, and nowhere else.
 */
import { askD1 } from "../db/ask.ts";

export interface AccountEvent {
  /** Rises with time. An event that grows within its hour comes again, under a new id. */
  id: number;
  /** `account.refusals` and those that others write. */
  type: string;
  hourMs: number;
  /** When the newest of what it counts happened. */
  atMs: number;
  data: Record<string, unknown>;
}

interface EventRow extends Omit<AccountEvent, "data"> {
  data: string;
}

const AFTER = `
SELECT id, type, hour_ms AS hourMs, at_ms AS atMs, data FROM account_events
WHERE account_id = ?1 AND id > ?2`;

const READ = `${AFTER} AND at_ms >= ?3 AND type NOT LIKE 'message.%' ORDER BY id LIMIT ?4`;

const READ_NEWS = `${AFTER} ORDER BY id LIMIT ?3`;

export async function accountEventsAfter(
  db: D1Database,
  accountId: number,
  after: number,
  sinceMs: number,
  limit: number,
): Promise<AccountEvent[]> {
  const { results } = await askD1("read_account_events", () =>
    db.prepare(READ).bind(accountId, after, sinceMs, limit).all<EventRow>(),
  );
  return results.map(parsed);
}

/** For webhooks: also what became of test messages. */
export async function accountNewsAfter(
  db: D1Database,
  accountId: number,
  after: number,
  limit: number,
): Promise<AccountEvent[]> {
  const { results } = await askD1("read_account_news", () =>
    db.prepare(READ_NEWS).bind(accountId, after, limit).all<EventRow>(),
  );
  return results.map(parsed);
}

function parsed(row: EventRow): AccountEvent {
  return { ...row, data: JSON.parse(row.data) as AccountEvent["data"] };
}
