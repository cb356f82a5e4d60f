/** The books: every hold ends once, quotas come back to their own period, and nothing can be rewritten. */
import { env } from "cloudflare:test";
import { afterEach, describe, expect, it, vi } from "vitest";
import { recordMessageEnds } from "../../src/billing/ledger.ts";
import type { MoneyEnd } from "../../src/billing/message-end.ts";
import { findDifferences } from "../../src/billing/reconcile.ts";
import { accept, endOf, legsOf, rowOf, usedOf } from "./support/books.ts";
import {
  cachedBalances,
  foldOf,
  freshText,
  newCustomer,
  operator,
  type Customer,
} from "./support/harness.ts";

async function acceptedMessage(customer: Customer) {
  const { request, verdict } = await accept(customer, [freshText()]);
  const [message] = verdict.kind === "decided" ? verdict.messages : [];
  if (message?.kind !== "accepted") throw new Error("not accepted");
  return { id: message.message.id, nonce: request.nonce };
}

afterEach(() => {
  vi.restoreAllMocks();
});

describe("an end", () => {
  it("settles: the hold becomes revenue and the quota stays used", async () => {
    const customer = await newCustomer({ balance: 1_000 });
    const message = await acceptedMessage(customer);
    const end = endOf(message, customer.accountId, "settle", 3);
    expect(await recordMessageEnds(env.DB, [end])).toEqual([
      { messageId: message.id, money: "done", rev: 3 },
    ]);
    expect(await foldOf(customer.accountId)).toMatchObject({
      available: 800,
      held: 0,
      revenue: 200,
    });
    expect(await usedOf(customer.deviceId)).toBe(1);
    expect(await rowOf(message.id)).toMatchObject({ status: "sent", rev: 3, body: null });
  });

  it("voids: money and quota come back", async () => {
    const customer = await newCustomer({ balance: 1_000 });
    const message = await acceptedMessage(customer);
    await recordMessageEnds(env.DB, [endOf(message, customer.accountId, "void", 2)]);
    expect(await foldOf(customer.accountId)).toMatchObject({ available: 1_000, held: 0 });
    expect(await usedOf(customer.deviceId)).toBe(0);
  });

  it("gives the quota back to the period that it came from, when a new one has begun", async () => {
    const customer = await newCustomer();
    const message = await acceptedMessage(customer);
    await env.DB.prepare(
      `INSERT INTO package_periods (subscription_id, device_id, starts_ms, ends_ms, quota, used, price_rupiah)
       SELECT subscription_id, device_id, ends_ms, ends_ms + 86400000, quota, 0, price_rupiah
       FROM package_periods WHERE device_id = ?`,
    )
      .bind(customer.deviceId)
      .run();
    await recordMessageEnds(env.DB, [endOf(message, customer.accountId, "void", 2)]);
    const { results } = await env.DB.prepare(
      "SELECT used FROM package_periods WHERE device_id = ? ORDER BY starts_ms",
    )
      .bind(customer.deviceId)
      .all();
    expect(results).toEqual([{ used: 0 }, { used: 0 }]);
  });

  it("refunds once, and brings the settlement along when the books had not heard of it", async () => {
    const customer = await newCustomer({ balance: 1_000 });
    const message = await acceptedMessage(customer);
    const refund = endOf(message, customer.accountId, "refund", 5);
    for (let time = 0; time < 3; time += 1) {
      const [readback] = await recordMessageEnds(env.DB, [refund]);
      expect(readback?.money).toBe("done");
    }
    expect((await legsOf(message.id)).map((leg) => leg.kind)).toEqual(["hold", "settle", "refund"]);
    expect(await foldOf(customer.accountId)).toMatchObject({ available: 1_000, revenue: 0 });
    expect(await usedOf(customer.deviceId)).toBe(1);
  });

  it("stands: another end is answered as different and changes nothing", async () => {
    const customer = await newCustomer();
    const message = await acceptedMessage(customer);
    await recordMessageEnds(env.DB, [endOf(message, customer.accountId, "void", 2)]);
    const others: MoneyEnd[] = ["settle", "refund"];
    for (const money of others) {
      const [readback] = await recordMessageEnds(env.DB, [
        endOf(message, customer.accountId, money, 9),
      ]);
      expect(readback?.money).toBe("different");
    }
    expect((await legsOf(message.id)).map((leg) => leg.kind)).toEqual(["hold", "void"]);
  });

  it("of a message that D1 does not have stays to be told again", async () => {
    const customer = await newCustomer();
    const unknown = { id: 4_242, nonce: "00".repeat(16) };
    const readbacks = await recordMessageEnds(env.DB, [
      endOf(unknown, customer.accountId, "void", 1),
    ]);
    expect(readbacks).toEqual([{ messageId: 4_242, money: "no_hold", rev: null }]);
  });

  it("needs the nonce and the account of its message", async () => {
    const [mine, theirs] = [await newCustomer(), await newCustomer()];
    const message = await acceptedMessage(mine);
    const readbacks = await recordMessageEnds(env.DB, [
      endOf({ ...message, nonce: "00".repeat(16) }, mine.accountId, "void", 2),
      endOf(message, theirs.accountId, "void", 2),
    ]);
    expect(readbacks.map((readback) => readback.money)).toEqual(["different", "different"]);
    expect((await legsOf(message.id)).map((leg) => leg.kind)).toEqual(["hold"]);
    expect(await rowOf(message.id)).toMatchObject({ status: "pending", rev: 0 });
  });

  it("never lets an older revision overwrite a newer one", async () => {
    const customer = await newCustomer();
    const message = await acceptedMessage(customer);
    const told = (rev: number, status: "sent" | "received") =>
      recordMessageEnds(env.DB, [endOf(message, customer.accountId, "settle", rev, status)]);
    expect((await told(7, "received"))[0]?.rev).toBe(7);
    expect((await told(4, "sent"))[0]).toEqual({ messageId: message.id, money: "done", rev: 7 });
    expect(await rowOf(message.id)).toMatchObject({ status: "received", rev: 7 });
  });

  it("that the books refuse does not harm its neighbours", async () => {
    const alert = vi.spyOn(console, "error").mockImplementation(() => {});
    const [sound, broken] = [await newCustomer(), await newCustomer()];
    const [good, bad] = [await acceptedMessage(sound), await acceptedMessage(broken)];
    // As if somebody had edited the cache: ending this hold would make `held` negative.
    await env.DB.prepare("UPDATE accounts SET held = 0 WHERE id = ?").bind(broken.accountId).run();
    const readbacks = await recordMessageEnds(env.DB, [
      endOf(bad, broken.accountId, "settle", 2),
      endOf(good, sound.accountId, "settle", 2),
    ]);
    expect(readbacks.map((readback) => readback.money)).toEqual(["different", "done"]);
    expect(alert).toHaveBeenCalled();
    const differences = await findDifferences(env.DB);
    expect(differences.accounts).toContain(broken.accountId);
    expect(differences.accounts).not.toContain(sound.accountId);
  });
});

describe("rows written", () => {
  it("are five at acceptance, three at a settlement and four at a void", async () => {
    const customer = await newCustomer();
    let written = 0;
    const counted = new Proxy(env.DB, {
      get: (db, property) =>
        property === "batch"
          ? async (statements: D1PreparedStatement[]) => {
              const results = await db.batch(statements);
              written = results.reduce((sum, result) => sum + result.meta.rows_written, 0);
              return results;
            }
          : Reflect.get(db, property).bind(db),
    });
    const { acceptTogether } = await import("../../src/gateway/accept.ts");
    const { acceptRequest, timesNow } = await import("./support/books.ts");
    const requests = [await acceptRequest(customer, [freshText(), freshText()])];
    await acceptTogether(counted, requests, timesNow());
    expect(written).toBe(2 * 5);
    const [first, second] = requests[0]?.messages ?? [];
    const nonce = requests[0]?.nonce ?? "";
    await recordMessageEnds(counted, [
      endOf({ id: first?.id ?? 0, nonce }, customer.accountId, "settle", 2),
    ]);
    expect(written).toBe(3);
    await recordMessageEnds(counted, [
      endOf({ id: second?.id ?? 0, nonce }, customer.accountId, "void", 2),
    ]);
    expect(written).toBe(4);
  });
});

describe("a transfer", () => {
  it("never changes and is never deleted", async () => {
    const customer = await newCustomer();
    await expect(
      env.DB.prepare("UPDATE transfers SET amount = 1 WHERE account_id = ?")
        .bind(customer.accountId)
        .run(),
    ).rejects.toThrow("transfers never change");
    await expect(
      env.DB.prepare("DELETE FROM transfers WHERE account_id = ?").bind(customer.accountId).run(),
    ).rejects.toThrow("transfers are never deleted");
  });

  it("of no known kind, or of no account, is refused", async () => {
    const insert = (accountId: number, kind: string, credit: string) =>
      env.DB.prepare(
        `INSERT INTO transfers (ref, leg, kind, account_id, debit, credit, amount, at_ms)
         VALUES ('x', 'post', ?, ?, 'cash', ?, 1, 0)`,
      )
        .bind(kind, accountId, credit)
        .run();
    const { accountId } = await newCustomer();
    await expect(insert(accountId, "gift", "available")).rejects.toThrow("no known kind");
    await expect(insert(accountId, "top_up", "held")).rejects.toThrow("no known kind");
    await expect(insert(999_999, "top_up", "available")).rejects.toThrow("without an account");
  });
});

describe("a top-up", () => {
  it("credits a reference once, and refuses it with another amount", async () => {
    const { accountId } = await newCustomer({ balance: 0 });
    const pay = (amount: number) =>
      operator("POST", `/accounts/${accountId}/top-ups`, { amount, reference: "BCA-20261101-1" });
    await pay(50_000);
    await pay(50_000);
    expect(await foldOf(accountId)).toMatchObject({ available: 50_000, cash: -50_000 });
    await expect(pay(60_000)).rejects.toThrow("409");
    expect(await cachedBalances(accountId)).toMatchObject({ available: 50_000 });
  });
});
