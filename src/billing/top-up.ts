/**
 * Money coming in. A reference credits once, whoever repeats it; the same reference with another amount or for
 * another account is refused rather than guessed about. Tax is charged on the invoice, never inside the balance.
 */
import { askD1 } from "../db/ask.ts";
import type { Result } from "../domain/result.ts";
import { err, ok } from "../domain/result.ts";

export interface TopUp {
  accountId: number;
  amountRupiah: number;
  /** Of the payment; unique over all accounts. */
  reference: string;
  /** The balance's last valid day; an earlier one than now stands is ignored, and so is that of a repeat. */
  expiresOn: string;
  atMs: number;
}

export type TopUpRefusal = { reason: "account_unknown" } | { reason: "reference_used" };

const CREDIT = `
INSERT INTO transfers (ref, leg, kind, account_id, debit, credit, amount, at_ms)
SELECT 'top_up:' || ?1, 'post', 'top_up', a.id, 'cash', 'available', ?3, ?4 FROM accounts a WHERE a.id = ?2
ON CONFLICT (ref, leg) DO NOTHING`;

/** Before the credit: whoever finds the reference unused is the one that uses it. */
const EXTEND = `
UPDATE accounts SET balance_expires_on = max(coalesce(balance_expires_on, ''), ?3)
WHERE id = ?1 AND NOT EXISTS (SELECT 1 FROM transfers t WHERE t.ref = 'top_up:' || ?2 AND t.leg = 'post')`;

const READ_BACK = `
SELECT a.id, a.available, t.account_id AS credited_account, t.amount
FROM accounts a LEFT JOIN transfers t ON t.ref = 'top_up:' || ?2 AND t.leg = 'post' WHERE a.id = ?1`;

interface ReadbackRow {
  id: number;
  available: number;
  credited_account: number | null;
  amount: number | null;
}

/** Answers the balance after it. */
export async function topUp(
  db: D1Database,
  order: TopUp,
): Promise<Result<{ availableRupiah: number }, TopUpRefusal>> {
  const { accountId, amountRupiah, reference, expiresOn, atMs } = order;
  const results = await askD1("top_up", () =>
    db.batch<ReadbackRow>([
      db.prepare(EXTEND).bind(accountId, reference, expiresOn),
      db.prepare(CREDIT).bind(reference, accountId, amountRupiah, atMs),
      db.prepare(READ_BACK).bind(accountId, reference),
    ]),
  );
  const row = results[2]?.results[0];
  if (row === undefined) return err({ reason: "account_unknown" });
  if (row.credited_account !== accountId || row.amount !== amountRupiah) {
    return err({ reason: "reference_used" });
  }
  return ok({ availableRupiah: row.available });
}
