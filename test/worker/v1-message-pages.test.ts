/** The list of messages where an account's own lie below thousands of others. Alone, because it takes triggers away. */
import { env } from "cloudflare:test";
import { expect, it } from "vitest";
import { freshText, newCustomer, type Customer } from "./support/harness.ts";
import { v1 } from "./support/v1.ts";

async function sendOne({ apiKey, waid }: Customer): Promise<number> {
  const body = { device: waid, to: "081310001001", text: freshText() };
  return Number((await v1("POST", "/messages", apiKey, body)).body["id"]);
}

/** Pages from the newest on until there is none. */
async function walk(token: string, query: string): Promise<{ ids: number[]; pages: number }> {
  const ids: number[] = [];
  let cursor: string | null = "";
  let pages = 0;
  while (cursor !== null) {
    const more: string = cursor === "" ? "" : `&cursor=${cursor}`;
    const { body } = await v1("GET", `/messages?${query}${more}`, token);
    ids.push(...(body["messages"] as { id: number }[]).map(({ id }) => id));
    cursor = body["next_cursor"] as string | null;
    pages += 1;
    expect(pages).toBeLessThan(50);
  }
  return { ids, pages };
}

it("goes on past thousands of messages of others, and shows none of them", async () => {
  const [quiet, busy] = [await newCustomer(), await newCustomer()];
  const mine = [await sendOne(quiet)];
  const model = await env.DB.prepare("SELECT * FROM messages WHERE id = ?")
    .bind(await sendOne(busy))
    .first<Record<string, unknown>>();
  // Rows of another account above mine, as many as one walk looks at and more, past triggers and money.
  await env.DB.batch([
    env.DB.prepare("DROP TRIGGER messages_hold"),
    env.DB.prepare("DROP TRIGGER messages_decide"),
    env.DB.prepare(
      `INSERT INTO messages (id, account_id, device_id, key_id, period_id, nonce, recipient, category, price_rupiah,
           accepted_ms, due_ms, expires_ms, expect_by_ms, status, text_mac)
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 12000)
         SELECT ?1 + i * 7, account_id, device_id, key_id, period_id, nonce, recipient, category, price_rupiah,
           accepted_ms, due_ms, expires_ms, expect_by_ms, status, text_mac || i
         FROM n, messages m WHERE m.id = ?2`,
    ).bind(Math.max(mine[0] ?? 0, Number(model?.["id"])), model?.["id"]),
  ]);
  expect(await walk(quiet.apiKey, "limit=5")).toEqual({ ids: mine, pages: 1 });
  const all = await walk(busy.apiKey, "limit=100&status=reject");
  expect(all.ids).toEqual([]);
  expect(all.pages).toBeLessThan(10);
});
