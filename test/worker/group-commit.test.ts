/**
 * Sends that share a batch: what each client hears, what it pays, and what becomes of the others when one of them is refused,
 * the batch is lost, or whoever should lead does not come. Money is read from transfers.
 */
import { env } from "cloudflare:test";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { setSaboteur } from "../../src/domain/crossing.ts";
import type { AcceptRequest } from "../../src/gateway/accept.ts";
import { acceptTogether } from "../../src/gateway/accept.ts";
import { GroupCommit, NotAsked, type GroupTools } from "../../src/gateway/group-commit.ts";
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
const CALM_MS = 1_000;
const BATCHES_MAX = 4;
const BATCH_LOST_MS = 2_000;

beforeEach(() => {
  vi.spyOn(console, "warn").mockImplementation(() => undefined);
});

afterEach(() => {
  setSaboteur(null);
  vi.useRealTimers();
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

/** However slow the machine is: no batch is late. */
function stopTheClock(): void {
  vi.useFakeTimers({ toFake: ["Date"], now: Date.now() });
}

/** A clock that stands until it is moved. */
class Hands {
  nowMs = Date.now();

  tools(db: D1Database = env.DB): GroupTools {
    return { db, clock: () => this.nowMs };
  }
}

/** Money of a customer who had 1,000 and sent one text before: what is paid or held. */
async function spent({ accountId }: Customer): Promise<number> {
  return 1_000 - (await foldOf(accountId)).available;
}

describe("sends that come while D1 is busy", () => {
  it("wait while a batch is under way, and each is answered for itself", async () => {
    const customers = await metCustomers(16);
    stopTheClock();
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
    stopTheClock();
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
      stopTheClock();
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
    const tools = new Hands().tools();
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

  it("wait for each other a moment where many come; who comes alone waits for nobody", async () => {
    const customer = await newCustomer({ balance: 1_000_000 });
    const group = new GroupCommit();
    const hands = new Hands();
    const ask = async () => {
      const request = await acceptRequest(customer, [freshText()]);
      return group.accept(hands.tools(), request, timesNow(), 20_000);
    };
    const timers = vi.spyOn(globalThis, "setTimeout");
    /** Who leads looks every millisecond while it gathers, and has no other timer so short. */
    const gathered = () => timers.mock.calls.filter(([, ms]) => ms === 1).length;
    await ask();
    expect(gathered()).toBe(0);
    await Promise.all(Array.from({ length: 16 }, ask));
    const held = holdBatches((_, call) => call());
    held.release();
    await Promise.all(Array.from({ length: 16 }, ask));
    expect(held.begun).toBe(1);
    const before = gathered();
    hands.nowMs += CALM_MS + 1;
    await ask();
    expect(gathered()).toBe(before);
  });

  it("do not wait for a batch that is late: another is begun beside it, four at most", async () => {
    const customer = await newCustomer({ balance: 1_000_000 });
    const group = new GroupCommit();
    const hands = new Hands();
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
      asked.push(group.accept(hands.tools(), request, timesNow(), 20_000));
      await scheduler.wait(30);
    };
    await ask();
    for (const before of [1, 2, 3]) {
      await ask();
      expect(begun).toBe(before);
      hands.nowMs += 150;
      await vi.waitFor(() => expect(begun).toBe(before + 1), { timeout: 20_000 });
    }
    await ask();
    hands.nowMs += 150;
    await scheduler.wait(100);
    expect(begun).toBe(4);
    release();
    const verdicts = (await Promise.all(asked)) as { kind: string }[];
    expect(verdicts.map(({ kind }) => kind)).toEqual(Array(5).fill("decided"));
    expect((await foldOf(customer.accountId)).held).toBe(5 * PRICE);
  });

  it("are led by one of their own, however many wait before it", async () => {
    const customer = await newCustomer({ balance: 1_000_000 });
    const held = holdBatches((_, call) => call());
    const group = new GroupCommit();
    const hands = new Hands();
    const requestOf = (size: number) =>
      acceptRequest(customer, Array.from({ length: size }, freshText));
    const first = group.accept(hands.tools(), await requestOf(1), timesNow(), 20_000);
    const waiting = await Promise.all(Array.from({ length: 24 }, () => requestOf(5)));
    const leading = await requestOf(1);
    const asked = waiting.map((each) => group.accept(hands.tools(), each, timesNow(), 20_000));
    hands.nowMs += 150;
    const verdict = await group.accept(hands.tools(), leading, timesNow(), 20_000);
    expect(verdict?.kind).toBe("decided");
    expect(held.begun).toBe(2);
    held.release();
    const others = await Promise.all([first, ...asked]);
    expect(others.map((told) => told?.kind)).toEqual(Array(25).fill("decided"));
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

  /** D1 says nothing to them; each is late for the next, and given up by whoever led it. */
  async function loseBatches(count: number, group: GroupCommit, customer: Customer, hands: Hands) {
    for (let lost = 0; lost < count; lost += 1) {
      hands.nowMs += 150;
      const asked = group.accept(hands.tools(silent), await requestOf(customer), timesNow(), 20);
      await expect(asked).rejects.toThrow("no answer within 20 ms");
    }
  }

  async function someone(): Promise<Customer> {
    const [customer] = await metCustomers(1, 10_000);
    if (customer === undefined) throw new Error("no customer");
    return customer;
  }

  it("is in no batch once it was given up, and D1 need not be asked about it", async () => {
    const customer = await someone();
    const group = new GroupCommit();
    const hands = new Hands();
    await loseBatches(BATCHES_MAX, group, customer, hands);
    const late = await requestOf(customer);
    const asked = group.accept(hands.tools(), late, timesNow(), 20);
    hands.nowMs += 20;
    await expect(asked).rejects.toThrow(NotAsked);
    hands.nowMs += BATCH_LOST_MS;
    const good = await requestOf(customer);
    const verdict = await group.accept(hands.tools(), good, timesNow(), 1_000);
    expect(verdict?.kind).toBe("decided");
    expect(await legsOf(late.messages[0]?.id ?? 0)).toEqual([]);
    expect((await legsOf(good.messages[0]?.id ?? 0)).map((leg) => leg.kind)).toEqual(["hold"]);
  });

  it("leads itself when nobody wakes it, once the batches before it count as lost", async () => {
    const customer = await someone();
    const group = new GroupCommit();
    const hands = new Hands();
    await loseBatches(BATCHES_MAX, group, customer, hands);
    let told = false;
    const waiting = group
      .accept(hands.tools(), await requestOf(customer), timesNow(), 60_000)
      .finally(() => {
        told = true;
      });
    hands.nowMs += 1_000;
    await scheduler.wait(300);
    expect(told).toBe(false);
    hands.nowMs += BATCH_LOST_MS;
    expect((await waiting)?.kind).toBe("decided");
  });

  it("does not learn patience from a D1 that was slow before", async () => {
    const customer = await someone();
    const group = new GroupCommit();
    const hands = new Hands();
    setSaboteur(async <T>(crossing: { name: string }, call: () => Promise<T>): Promise<T> => {
      if (crossing.name === "accept") hands.nowMs += 30_000;
      return call();
    });
    for (let slow = 0; slow < 5; slow += 1) {
      await group.accept(hands.tools(), await requestOf(customer), timesNow(), 60_000);
    }
    setSaboteur(null);
    await loseBatches(1, group, customer, hands);
    const waiting = group.accept(hands.tools(), await requestOf(customer), timesNow(), 60_000);
    hands.nowMs += 1_000;
    expect((await waiting)?.kind).toBe("decided");
  });

  it("is not taken when two thousand wait", async () => {
    const customer = await someone();
    const group = new GroupCommit();
    const hands = new Hands();
    const tools = hands.tools(silent);
    const request = await requestOf(customer);
    await loseBatches(BATCHES_MAX, group, customer, hands);
    const waiting = Array.from({ length: 2_000 }, () =>
      group.accept(tools, request, timesNow(), 300).catch((error: unknown) => error),
    );
    await expect(group.accept(tools, request, timesNow(), 300)).rejects.toThrow(NotAsked);
    hands.nowMs += 300;
    const errors = await Promise.all(waiting);
    expect(errors.every((error) => error instanceof NotAsked)).toBe(true);
    hands.nowMs += BATCH_LOST_MS;
    const verdict = await group.accept(hands.tools(), request, timesNow(), 20_000);
    expect(verdict?.kind).toBe("decided");
  });
});
