/** Customers' accounts: opening one and reading its balances. Balances are never written here. */
import { askD1 } from "../db/ask.ts";
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
  const rows = await askD1("create_account", async () =>
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

/** Null when there is no such account. */
export async function zoneOf(db: D1Database, accountId: number): Promise<Zone | null> {
  const rows = await askD1("read_zone", async () =>
    books(db).select({ zone: accounts.zone }).from(accounts).where(eq(accounts.id, accountId)),
  );
  return rows[0]?.zone ?? null;
}
