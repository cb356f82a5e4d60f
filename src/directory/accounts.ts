/** Customers' accounts: opening one, changing and closing it, reading its balances. Balances are never written here. */
import { askD1, askD1Once } from "../db/ask.ts";
import { eq } from "drizzle-orm";
import { books } from "../db/client.ts";
import { accounts } from "../db/schema.ts";
import { invariant } from "../domain/result.ts";
import type { Zone } from "../domain/zone.ts";

export interface NewAccount {
  name: string;
  zone: Zone;
  creditLimitRupiah: number;
  textLengthMax: number;
  nowMs: number;
}

/** Answers its id. */
export async function createAccount(db: D1Database, account: NewAccount): Promise<number> {
  const rows = await askD1Once("create_account", async () =>
    books(db)
      .insert(accounts)
      .values({
        name: account.name,
        zone: account.zone,
        creditLimit: account.creditLimitRupiah,
        textLengthMax: account.textLengthMax,
        createdMs: account.nowMs,
      })
      .returning({ id: accounts.id }),
  );
  const [row] = rows;
  invariant(row !== undefined, "an inserted account has an id");
  return row.id;
}

/** What the operator may change; what is left out stays. */
export interface AccountChange {
  textsKeptDays?: number;
  /** Null: never told. */
  lowBalanceRupiah?: number | null;
  /** Null: no mails. */
  email?: string | null;
}

/** False when there is no such account. */
export async function changeAccount(
  db: D1Database,
  accountId: number,
  change: AccountChange,
): Promise<boolean> {
  const rows = await askD1("change_account", async () =>
    books(db)
      .update(accounts)
      .set(change)
      .where(eq(accounts.id, accountId))
      .returning({ id: accounts.id }),
  );
  return rows.length > 0;
}

const CLOSE = "UPDATE accounts SET status = 'closed', keeps_events = 0, email = NULL WHERE id = ?1";
const DELETE_ENDPOINTS = `
UPDATE endpoints SET deleted_ms = ?2 WHERE account_id = ?1 AND deleted_ms IS NULL`;

/** Its keys work no more and its webhooks are marked to be closed. False when there is no such account. */
export async function closeAccountRow(
  db: D1Database,
  accountId: number,
  nowMs: number,
): Promise<boolean> {
  const [closed] = await askD1("close_account", () =>
    db.batch([
      db.prepare(CLOSE).bind(accountId),
      db.prepare(DELETE_ENDPOINTS).bind(accountId, nowMs),
    ]),
  );
  return (closed?.meta.changes ?? 0) > 0;
}

export interface AccountBalances {
  available: number;
  held: number;
  owed: number;
}

/** Null when there is no such account. */
export async function balancesOf(
  db: D1Database,
  accountId: number,
): Promise<AccountBalances | null> {
  const rows = await askD1("read_balances", async () =>
    books(db)
      .select({ available: accounts.available, held: accounts.held, owed: accounts.owed })
      .from(accounts)
      .where(eq(accounts.id, accountId)),
  );
  return rows[0] ?? null;
}

/** There, and not closed. */
export async function isOpen(db: D1Database, accountId: number): Promise<boolean> {
  const rows = await askD1("read_account_status", async () =>
    books(db).select({ status: accounts.status }).from(accounts).where(eq(accounts.id, accountId)),
  );
  return rows[0] !== undefined && rows[0].status !== "closed";
}

/** Null when there is no such account. */
export async function zoneOf(db: D1Database, accountId: number): Promise<Zone | null> {
  const rows = await askD1("read_zone", async () =>
    books(db).select({ zone: accounts.zone }).from(accounts).where(eq(accounts.id, accountId)),
  );
  return rows[0]?.zone ?? null;
}
