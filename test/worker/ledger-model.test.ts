/**
 * Random histories of accepting, settling, voiding, refunding and repeating on real D1, beside a model in memory.
 * The witness is plain SQL over transfers: what the model says, the fold says, and the caches say.
 */
import { env } from "cloudflare:test";
import fc from "fast-check";
import { expect, it } from "vitest";
import { recordMessageEnds } from "../../src/billing/ledger.ts";
import type { MessageEnd, MoneyEnd } from "../../src/billing/message-end.ts";
import { findDifferences } from "../../src/billing/reconcile.ts";
import { acceptExplained, acceptTogether, type AcceptRequest } from "../../src/gateway/accept.ts";
import type { AcceptVerdict } from "../../src/gateway/accept-verdict.ts";
import { acceptRequest, endOf, legsOf, timesNow, usedOf } from "./support/books.ts";
import { cachedBalances, foldOf, newCustomer, topUp, type Customer } from "./support/harness.ts";

const PRICE = 200;
const QUOTA = 12;

type Step =
  | { do: "accept"; requests: number[][] }
  | { do: "end"; ends: { pick: number; money: MoneyEnd }[] }
  | { do: "top_up"; amount: number };

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant("accept" as const),
      requests: fc.array(fc.array(fc.nat(30), { minLength: 1, maxLength: 5 }), {
        minLength: 1,
        maxLength: 3,
      }),
    }),
  },
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constant("end" as const),
      ends: fc.array(
        fc.record({
          pick: fc.nat(40),
          money: fc.constantFrom<MoneyEnd>("settle", "void", "refund"),
        }),
        { minLength: 1, maxLength: 6 },
      ),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant("top_up" as const),
      amount: fc.integer({ min: 1, max: 900 }),
    }),
  },
);

interface ModelMessage {
  id: number;
  nonce: string;
  text: number;
  legs: string[];
}

/** The rules again, as naively as can be. */
class Model {
  available = 0;
  held = 0;
  revenue = 0;
  used = 0;
  readonly messages: ModelMessage[] = [];

  accept(id: number, nonce: string, text: number): "accepted" | "duplicate" | "refused" {
    const equal = this.messages.some(
      (known) =>
        known.text === text && !known.legs.includes("void") && !known.legs.includes("refund"),
    );
    if (equal) return "duplicate";
    if (this.available < PRICE || this.used >= QUOTA) return "refused";
    this.available -= PRICE;
    this.held += PRICE;
    this.used += 1;
    this.messages.push({ id, nonce, text, legs: ["hold"] });
    return "accepted";
  }

  /** What the books must answer. */
  end(message: ModelMessage, money: MoneyEnd): "done" | "different" {
    const { legs } = message;
    if (legs.length === 1) {
      this.held -= PRICE;
      if (money === "void") {
        this.available += PRICE;
        this.used -= 1;
      } else this.revenue += PRICE;
      legs.push(money === "void" ? "void" : "settle");
    }
    if (money === "refund" && legs.includes("settle") && !legs.includes("refund")) {
      this.revenue -= PRICE;
      this.available += PRICE;
      legs.push("refund");
    }
    return legs.includes(money) ? "done" : "different";
  }
}

/** As sends that share a batch are accepted: together first, then each that was not accepted whole by itself. */
async function acceptAll(requests: AcceptRequest[]): Promise<AcceptVerdict[]> {
  const together = await acceptTogether(env.DB, requests, timesNow());
  const verdicts: AcceptVerdict[] = [];
  for (const [index, request] of requests.entries()) {
    const explained = together[index] ?? (await acceptExplained(env.DB, [request], timesNow()))[0];
    if (explained === undefined) throw new Error("no verdict");
    verdicts.push(explained);
  }
  return verdicts;
}

async function play(customer: Customer, model: Model, next: Step, rev: number): Promise<void> {
  if (next.do === "top_up") {
    await topUp(customer.accountId, next.amount);
    model.available += next.amount;
    return;
  }
  if (next.do === "accept") {
    const requests: AcceptRequest[] = [];
    for (const texts of next.requests)
      requests.push(await acceptRequest(customer, texts.map(String)));
    const verdicts = await acceptAll(requests);
    const told = verdicts.flatMap((verdict) =>
      verdict.kind === "decided" ? verdict.messages.map((message) => message.kind) : ["none"],
    );
    const expected = next.requests.flatMap((texts, request) =>
      texts.map((text, index) =>
        model.accept(
          requests[request]?.messages[index]?.id ?? 0,
          requests[request]?.nonce ?? "",
          text,
        ),
      ),
    );
    expect(told).toEqual(expected);
    return;
  }
  const picked = next.ends.flatMap(({ pick, money }) => {
    const message = model.messages[pick];
    return message === undefined ? [] : [{ message, money }];
  });
  // A device flushes each message once a batch.
  const flush = [...new Map(picked.map((entry) => [entry.message.id, entry])).values()];
  const ends: MessageEnd[] = flush.map(({ message, money }) =>
    endOf(message, customer.accountId, money, rev, statusAfter(message, money)),
  );
  const readbacks = await recordMessageEnds(env.DB, ends);
  expect(readbacks.map((readback) => readback.money)).toEqual(
    flush.map(({ message, money }) => model.end(message, money)),
  );
}

/** A device tells the status that belongs to the end which stands. */
function statusAfter({ legs }: ModelMessage, money: MoneyEnd) {
  const stands = legs.includes("void") || (legs.length === 1 && money === "void");
  if (stands) return "cancel";
  return money === "refund" || legs.includes("refund") ? "reject" : "sent";
}

it("agree with the model after every step of any history", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 3, maxLength: 14 }), async (steps) => {
      const customer = await newCustomer({ balance: 1_500 });
      await env.DB.prepare("UPDATE package_periods SET quota = ? WHERE device_id = ?")
        .bind(QUOTA, customer.deviceId)
        .run();
      const model = new Model();
      model.available = 1_500;
      for (const [index, next] of steps.entries()) await play(customer, model, next, index + 1);
      const { available, held, revenue } = model;
      expect(await foldOf(customer.accountId)).toMatchObject({ available, held, revenue });
      expect(await cachedBalances(customer.accountId)).toEqual({ available, held, owed: 0 });
      expect(await usedOf(customer.deviceId)).toBe(model.used);
      for (const message of model.messages) {
        expect((await legsOf(message.id)).map((leg) => leg.kind)).toEqual(message.legs);
      }
    }),
    { numRuns: 40 },
  );
  expect(await findDifferences(env.DB)).toEqual({ accounts: [], periods: [], messages: [] });
}, 60_000);
