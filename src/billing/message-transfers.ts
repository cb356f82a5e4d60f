/** Reading the money line of one message, for the operator and for who asks where a rupiah went. Reads only. */
import { askD1 } from "../db/ask.ts";
import { asc, eq } from "drizzle-orm";
import { books } from "../db/client.ts";
import { transfers } from "../db/schema.ts";

export interface TransferLine {
  leg: string;
  kind: string;
  debit: string;
  credit: string;
  amount: number;
  atMs: number;
}

export async function transfersOfMessage(
  db: D1Database,
  messageId: number,
): Promise<TransferLine[]> {
  return askD1("read_transfers", async () =>
    books(db)
      .select({
        leg: transfers.leg,
        kind: transfers.kind,
        debit: transfers.debit,
        credit: transfers.credit,
        amount: transfers.amount,
        atMs: transfers.atMs,
      })
      .from(transfers)
      .where(eq(transfers.ref, `message:${messageId}`))
      .orderBy(asc(transfers.atMs), asc(transfers.leg)),
  );
}
