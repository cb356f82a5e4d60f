/**
 * Sends that share a batch: what each client hears, what it pays, and what becomes of the others when one of them is refused,
 * the batch is lost, or whoever should lead does not come. Money is read from transfers.
 */
import { env } from "cloudflare:test";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { setSaboteur } from "../../src/domain/crossing.ts";
import type { AcceptRequest } from "../../src/gateway/accept.ts";
import { acceptTogether } from "../../src/gateway/accept.ts";
import { GroupCommit, GroupFull } from "../../src/gateway/group-commit.ts";
import { acceptRequest, legsOf, timesNow } from "./support/books.ts";
import {
  foldOf,
  freshText,
  newCustomer,
  packetsOf,
  send,
  type Customer,
} from "./support/harness.ts";

const NUMBER = "6281234567890";
const PRICE = 200;
const GATHER_MS = 4;

beforeEach(() => {
  vi.spyOn(console, "warn").mockImplementation(() => undefined);
});

afterEach(() => {
  setSaboteur(null);
  vi.restoreAllMocks();
});

const one = (customer: Customer) => send(customer, [{ number: NUMBER, message: freshText() }]);

/** Customers whose devices this isolate has met. */
async function metCustomers(count: number, balance = 1_000): Promise<Customer[]> {
  const customers = await Promise.all(
    Array.from({ length: count }, () => newCustomer({ balance })),
  );
  for (const customer of customers) await one(customer);
  return customers;
}

/** Holds the first accepting batch back from its start; `then` is what becomes of each, by its number from 0. */
function holdBatches(then: (number: number, call: () => Promise<unknown>) => Promise<unknown>) {
  const { promise, resolve } = Promise.withResolvers<void>();
  const held = { begun: 0, release: resolve };
  setSaboteur(async <T>(crossing: { name: string }, call: () => Promise<T>): Promise<T> => {
    if (crossing.name !== "accept") return call();
    const number = held.begun;
    held.begun += 1;
    if (number === 0) await promise;
    return (await then(number, call)) as T;
  });
  return held;
}

async function untilBegun(held: { begun: number }): Promise<void> {
  while (held.begun === 0) await scheduler.wait(5);
}

/** Money of a customer who had 1,000 and sent one text before: what is paid or held. */
async function spent({ accountId }: Customer): Promise<number> {
  return 1_000 - (await foldOf(accountId)).available;
}

describe("sends that come while D1 is busy", () => {
  it("wait while a batch is under way, and each is answered for itself", async () => {
    const customers = await metCustomers(16);
    const held = holdBatches((_, call) => call());
    const first = customers.slice(0, 1).map(one);
    await untilBegun(held);
    const others = customers.slice(1).map(one);
    await scheduler.wait(50);
    expect(held.begun).toBe(1);
    held.release();
    const answers = (await Promise.all([...first, ...others])).flatMap(packetsOf);
    expect(answers.map((told) => told.sendingstatus)).toEqual(Array(16).fill(10));
    expect(new Set(answers.map((told) => told.sendingid)).size).toBe(16);
    for (const customer of customers) expect(await spent(customer)).toBe(2 * PRICE);
    for (const { sendingid } of answers) {
      expect((await legsOf(sendingid)).map((leg) => leg.kind)).toEqual(["hold"]);
    }
  });

  it("are refused one by one, for their own reasons", async () => {
    const customers = await metCustomers(3);
    const [poor] = await metCustomers(1, PRICE);
    const held = holdBatches((_, call) => call());
    const first = customers.slice(0, 1).map(one);
    await untilBegun(held);
    const [good, other] = customers.slice(1);
    if (good === undefined || other === undefined || poor === undefined) throw new Error("too few");
    const message = freshText();
    const packets = [
      { number: NUMBER, message },
      { number: NUMBER, message },
      { number: NUMBER, message: freshText() },
    ];
    const asked = [
      send(good, packets),
      one(poor),
      one({ ...good, waid: other.waid }),
      one({ ...other, apiKey: "z".repeat(32) }),
      one(other),
    ];
    await scheduler.wait(50);
    held.release();
    await Promise.all(first);
    const answers = await Promise.all(asked);
    expect(answers.map(({ globalstatus }) => globalstatus)).toEqual([10, 10, 30, 30, 10]);
    const told = answers.map((answer) => packetsOf(answer).map((packet) => packet.sendingstatus));
    expect(told).toEqual([[10, 10, 10], [80], [], [], [10]]);
    const [a, b, c] = packetsOf(answers[0] ?? { globalstatus: 0, globalstatustext: "" });
    expect(a?.sendingid).toBe(b?.sendingid);
    expect(c?.sendingid).not.toBe(a?.sendingid);
    expect(await spent(good)).toBe(3 * PRICE);
    expect(await spent(other)).toBe(2 * PRICE);
  });

  it.each(["before", "after"] as const)(
    "are accepted once each when the batch they share is lost %s it took effect",
    async (moment) => {
      const customers = await metCustomers(12);
      const held = holdBatches(async (number, call) => {
        if (number !== 1) return call();
        if (moment === "after") await call();
        throw new Error("connection lost");
      });
      const first = customers.slice(0, 1).map(one);
      await untilBegun(held);
      const others = customers.slice(1).map(one);
      await scheduler.wait(50);
      held.release();
      const answers = (await Promise.all([...first, ...others])).flatMap(packetsOf);
      expect(answers.map((told) => told.sendingstatus)).toEqual(Array(12).fill(10));
      for (const customer of customers) expect(await spent(customer)).toBe(2 * PRICE);
    },
  );
});

describe("one statement for several requests", () => {
  it("gives an id that two of them drew to the first, and tells the other nothing of it", async () => {
    const [customer] = await metCustomers(1);
    if (customer === undefined) throw new Error("no customer");
    const first = await acceptRequest(customer, [freshText()]);
    const other = await acceptRequest(customer, [freshText()]);
    const [message] = first.messages;
    if (message === undefined) throw new Error("no message");
    const clash = {
      ...other,
      messages: other.messages.map((each) => ({ ...each, id: message.id })),
    };
    const [taken, refused] = await acceptTogether(env.DB, [first, clash], timesNow());
    expect(taken?.kind).toBe("decided");
    expect(refused).toBeNull();
    expect(await spent(customer)).toBe(2 * PRICE);
  });
});

describe("the largest batch there is", () => {
  it("is taken by D1: 120 texts of a thousand characters of four bytes, each in two readings", async () => {
    const customer = await newCustomer({ balance: 1_000_000 });
    // A sealed text in base64, as src/gateway/body-seal.ts makes it.
    const sealed = (mark: string): string => mark.padEnd(2 + Math.ceil((4_000 + 28) / 3) * 4, "x");
    const requests = await Promise.all(
      Array.from({ length: 24 }, async (_, n) => {
        const request = await acceptRequest(customer, Array.from({ length: 5 }, freshText));
        const messages = request.messages.map((message, at) => ({
          ...message,
          plain: { ...message.plain, length: 1_000, body: sealed(`p${n}-${at}`) },
          decoded: { ...message.plain, length: 1_000, body: sealed(`d${n}-${at}`) },
        }));
        return { ...request, messages };
      }),
    );
    const verdicts = await acceptTogether(env.DB, requests, timesNow());
    expect(verdicts.map((verdict) => verdict?.kind)).toEqual(Array(24).fill("decided"));
    expect((await foldOf(customer.accountId)).held).toBe(120 * PRICE);
  });
});

describe("requests that come together", () => {
  it("share the next one, all of them", async () => {
    const customer = await newCustomer({ balance: 1_000_000 });
    const held = holdBatches((_, call) => call());
    const group = new GroupCommit();
    const tools = { db: env.DB, clock: Date.now };
    const requests = await Promise.all(
      Array.from({ length: 16 }, () => acceptRequest(customer, [freshText()])),
    );
    const asked = requests.map((request) => group.accept(tools, request, timesNow(), 20_000));
    expect(held.begun).toBe(1);
    held.release();
    const verdicts = await Promise.all(asked);
    expect(verdicts.map((verdict) => verdict?.kind)).toEqual(Array(16).fill("decided"));
    expect(held.begun).toBe(2);
    expect((await foldOf(customer.accountId)).held).toBe(16 * PRICE);
  });

  it("wait for each other a moment where many come, and one that is alone waits for nobody", async () => {
    const customer = await newCustomer({ balance: 1_000_000 });
    const group = new GroupCommit();
    const tools = { db: env.DB, clock: Date.now };
    const ask = async () =>
      group.accept(tools, await acceptRequest(customer, [freshText()]), timesNow(), 20_000);
    const pauses = vi.spyOn(globalThis, "setTimeout");
    const gathers = () => pauses.mock.calls.filter(([, ms]) => ms === GATHER_MS).length;
    const alone = gathers();
    await ask();
    expect(gathers()).toBe(alone);
    await Promise.all(Array.from({ length: 16 }, ask));
    const crowded = gathers();
    const held = holdBatches((_, call) => call());
    held.release();
    await Promise.all(Array.from({ length: 16 }, ask));
    expect(gathers()).toBeGreaterThan(crowded);
    expect(held.begun).toBe(1);
  });

  it("do not wait for a batch that is late: another is begun beside it, four at most", async () => {
    const customer = await newCustomer({ balance: 1_000_000 });
    const group = new GroupCommit();
    let nowMs = Date.now();
    const tools = { db: env.DB, clock: () => nowMs };
    const { promise: held, resolve: release } = Promise.withResolvers<void>();
    let begun = 0;
    setSaboteur(async <T>(crossing: { name: string }, call: () => Promise<T>): Promise<T> => {
      if (crossing.name === "accept") {
        begun += 1;
        await held;
      }
      return call();
    });
    const asked: Promise<unknown>[] = [];
    const ask = async (): Promise<void> => {
      const request = await acceptRequest(customer, [freshText()]);
      asked.push(group.accept(tools, request, timesNow(), 20_000));
      await scheduler.wait(30);
    };
    await ask();
    for (const before of [1, 2, 3]) {
      await ask();
      expect(begun).toBe(before);
      nowMs += 150;
      await vi.waitFor(() => expect(begun).toBe(before + 1), { timeout: 20_000 });
    }
    await ask();
    nowMs += 150;
    await scheduler.wait(100);
    expect(begun).toBe(4);
    release();
    const verdicts = (await Promise.all(asked)) as { kind: string }[];
    expect(verdicts.map(({ kind }) => kind)).toEqual(Array(5).fill("decided"));
    expect((await foldOf(customer.accountId)).held).toBe(5 * PRICE);
  });
});

describe("a request that waits", () => {
  const never = new Promise<never>(() => undefined);
  const silent = new Proxy(env.DB, {
    get: (db, property) =>
      property === "batch" ? () => never : Reflect.get(db, property).bind(db),
  });

  async function requestOf(customer: Customer): Promise<AcceptRequest> {
    return acceptRequest(customer, [freshText()]);
  }

  /** One that D1 says nothing to, given up by whoever led it. */
  async function loseBatch(group: GroupCommit, customer: Customer, clock: () => number) {
    const tools = { db: silent, clock };
    const asked = group.accept(tools, await requestOf(customer), timesNow(), 20);
    await expect(asked).rejects.toThrow("no answer within 20 ms");
  }

  it("is in no batch once it was given up", async () => {
    const [customer] = await metCustomers(1);
    if (customer === undefined) throw new Error("no customer");
    const group = new GroupCommit();
    await loseBatch(group, customer, Date.now);
    const tools = { db: env.DB, clock: Date.now };
    const late = await requestOf(customer);
    await expect(group.accept(tools, late, timesNow(), 20)).rejects.toThrow("no answer within");
    const later = () => Date.now() + 11_000;
    const good = await requestOf(customer);
    const verdict = await group.accept({ ...tools, clock: later }, good, timesNow(), 1_000);
    expect(verdict?.kind).toBe("decided");
    expect(await legsOf(late.messages[0]?.id ?? 0)).toEqual([]);
    expect((await legsOf(good.messages[0]?.id ?? 0)).map((leg) => leg.kind)).toEqual(["hold"]);
  });

  it("leads itself when nobody wakes it, once the batch before it counts as lost", async () => {
    const [customer] = await metCustomers(1);
    if (customer === undefined) throw new Error("no customer");
    const group = new GroupCommit();
    let aheadMs = 0;
    const clock = () => Date.now() + aheadMs;
    await loseBatch(group, customer, clock);
    const tools = { db: env.DB, clock };
    const waiting = group.accept(tools, await requestOf(customer), timesNow(), 60_000);
    await scheduler.wait(5);
    aheadMs = 11_000;
    expect((await waiting)?.kind).toBe("decided");
  });

  it("is not taken when two thousand wait", async () => {
    const [customer] = await metCustomers(1);
    if (customer === undefined) throw new Error("no customer");
    const group = new GroupCommit();
    const tools = { db: silent, clock: Date.now };
    const request = await requestOf(customer);
    await loseBatch(group, customer, Date.now);
    const waiting = Array.from({ length: 2_000 }, () =>
      group.accept(tools, request, timesNow(), 300).catch((error: unknown) => error),
    );
    await expect(group.accept(tools, request, timesNow(), 300)).rejects.toThrow(GroupFull);
    await Promise.all(waiting);
    await expect(group.accept(tools, request, timesNow(), 20)).rejects.toThrow("no answer within");
  });
});
