/**
 * Proof that the cached figures equal the fold of transfers: balances per account, quota per period, and one end
 * for each message that has ended. Reads only; it reports differences and repairs nothing, because a difference
 * is a bug or a break-in that a person must see. One statement each, so that it compares one moment.
 */
import { askD1 } from "../db/ask.ts";

export interface Differences {
  accounts: number[];
  periods: number[];
  messages: number[];
}

const LISTED_MAX = 20;
/** Messages looked at one by one, the newest first; the folds always cover everything. */
const LOOKED_AT_MAX = 20_000;

const ACCOUNTS = `
SELECT a.id FROM accounts a LEFT JOIN (
  SELECT account_id,
    sum(amount * ((credit = 'available') - (debit = 'available'))) AS available,
    sum(amount * ((credit = 'held') - (debit = 'held'))) AS held,
    sum(amount * ((debit = 'owed') - (credit = 'owed'))) AS owed
  FROM transfers GROUP BY account_id
) f ON f.account_id = a.id
WHERE a.available <> coalesce(f.available, 0) OR a.held <> coalesce(f.held, 0) OR a.owed <> coalesce(f.owed, 0)
LIMIT ${LISTED_MAX}`;

const PERIODS = `
SELECT p.id FROM package_periods p LEFT JOIN (
  SELECT period_id, sum((kind = 'hold') - (kind = 'void')) AS used
  FROM transfers WHERE period_id IS NOT NULL GROUP BY period_id
) f ON f.period_id = p.id
WHERE p.used <> coalesce(f.used, 0)
LIMIT ${LISTED_MAX}`;

const MESSAGES = `
SELECT m.id FROM (SELECT id, status FROM messages ORDER BY id DESC LIMIT ${LOOKED_AT_MAX}) m
WHERE m.status <> 'pending'
  AND NOT EXISTS (SELECT 1 FROM transfers t WHERE t.ref = 'message:' || m.id AND t.leg = 'end')
LIMIT ${LISTED_MAX}`;

export async function findDifferences(db: D1Database): Promise<Differences> {
  const results = await askD1("reconcile", () =>
    db.batch<{ id: number }>([db.prepare(ACCOUNTS), db.prepare(PERIODS), db.prepare(MESSAGES)]),
  );
  const [accounts = [], periods = [], messages = []] = results.map((result) =>
    result.results.map((row) => row.id),
  );
  return { accounts, periods, messages };
}
