/**
 * Mails to customers that are on their way: written by trigger together with the event they tell of, taken out when they
 * were sent or given up. Says neither what a mail says nor when it is tried again.
 */
import { askD1 } from "../db/ask.ts";

export interface WaitingMail {
  id: number;
  /** Null: the account wants none any more. */
  email: string | null;
  type: string;
  data: Record<string, unknown>;
  atMs: number;
  attempts: number;
}

const DUE = `
SELECT m.id, a.email, m.type, m.data, m.at_ms AS atMs, m.attempts
FROM account_mails m JOIN accounts a ON a.id = m.account_id
WHERE m.next_ms <= ?1 ORDER BY m.next_ms LIMIT ?2`;

export async function dueMails(
  db: D1Database,
  nowMs: number,
  countMax: number,
): Promise<WaitingMail[]> {
  const { results } = await askD1("due_mails", () =>
    db.prepare(DUE).bind(nowMs, countMax).all<Omit<WaitingMail, "data"> & { data: string }>(),
  );
  return results.map((row) => ({ ...row, data: JSON.parse(row.data) as WaitingMail["data"] }));
}

export async function mailIsDone(db: D1Database, id: number): Promise<void> {
  await askD1("mail_done", () =>
    db.prepare("DELETE FROM account_mails WHERE id = ?1").bind(id).run(),
  );
}

const AGAIN = "UPDATE account_mails SET attempts = ?2, next_ms = ?3 WHERE id = ?1";

export async function mailGoesAgain(
  db: D1Database,
  id: number,
  attempts: number,
  nextMs: number,
): Promise<void> {
  await askD1("mail_again", () => db.prepare(AGAIN).bind(id, attempts, nextMs).run());
}
