/** Accepting a send on real D1: what is decided, held, refused and explained in one batch. */
import { env } from "cloudflare:test";
import fc from "fast-check";
import { describe, expect, it, vi } from "vitest";
import {
  believe,
  cachedBalances,
  foldOf,
  freshText,
  newCustomer,
  newDevice,
  packetsOf,
  send,
  topUp,
  type Customer,
} from "./support/harness.ts";

const NUMBER = "6281234567890";

async function holdsOf(accountId: number): Promise<number> {
  const row = await env.DB.prepare(
    "SELECT count(*) AS n FROM transfers WHERE account_id = ? AND leg = 'hold'",
  )
    .bind(accountId)
    .first<{ n: number }>();
  return row?.n ?? 0;
}

async function codes(customer: Customer, packet: Record<string, unknown>): Promise<number[]> {
  const answer = await send(customer, [packet]);
  return packetsOf(answer).map((told) => told.sendingstatus);
}

describe("an accepted send", () => {
  it("holds its price, uses the quota and stands in the index with a sealed text", async () => {
    const customer = await newCustomer({ balance: 1_000 });
    const text = freshText();
    const [told] = packetsOf(await send(customer, [{ number: NUMBER, message: text }]));
    expect(told).toMatchObject({ number: NUMBER, sendingstatus: 10, price: 200 });
    expect(await foldOf(customer.accountId)).toMatchObject({ available: 800, held: 200 });
    expect(await cachedBalances(customer.accountId)).toEqual({
      available: 800,
      held: 200,
      owed: 0,
    });
    const row = await env.DB.prepare("SELECT * FROM messages WHERE id = ?")
      .bind(told?.sendingid ?? 0)
      .first();
    expect(row).toMatchObject({ recipient: NUMBER, status: "pending", price_rupiah: 200 });
    expect(JSON.stringify(row)).not.toContain(text);
    const period = await env.DB.prepare("SELECT used FROM package_periods WHERE device_id = ?")
      .bind(customer.deviceId)
      .first();
    expect(period).toEqual({ used: 1 });
  });

  it("reaches the device, which knows the text", async () => {
    const customer = await newCustomer();
    const [told] = packetsOf(await send(customer, [{ number: NUMBER, message: freshText() }]));
    const device = env.DEVICES.get(env.DEVICES.idFromName(customer.deviceId));
    const { deviceId, accountId, waid } = customer;
    const view = await device.message({ deviceId, accountId, waid }, told?.sendingid ?? 0);
    expect(view).toMatchObject({ ok: true, value: { to: NUMBER, status: "pending" } });
  });

  it("spends the last rupiah once when five packets want it", async () => {
    const customer = await newCustomer({ balance: 500 });
    const packets = Array.from({ length: 5 }, () => ({ number: NUMBER, message: freshText() }));
    const told = packetsOf(await send(customer, packets));
    expect(told.map((packet) => packet.sendingstatus)).toEqual([10, 10, 80, 80, 80]);
    expect(await foldOf(customer.accountId)).toMatchObject({ available: 100, held: 400 });
  });

  it("may go below zero as far as the credit limit and no further", async () => {
    const customer = await newCustomer({ balance: 200, account: { credit_limit: 400 } });
    const told = packetsOf(
      await send(
        customer,
        Array.from({ length: 4 }, () => ({ number: NUMBER, message: freshText() })),
      ),
    );
    expect(told.map((packet) => packet.sendingstatus)).toEqual([10, 10, 10, 80]);
    expect(await foldOf(customer.accountId)).toMatchObject({ available: -400, held: 600 });
  });
});

describe("a refused packet", () => {
  it("says 60 for a landline, 70 for a short text and an impossible date", async () => {
    const customer = await newCustomer();
    expect(await codes(customer, { number: "0215550123", message: freshText() })).toEqual([60]);
    expect(await codes(customer, { number: NUMBER, message: "123456789" })).toEqual([70]);
    expect(
      await codes(customer, {
        number: NUMBER,
        message: freshText(),
        sendingdatetime: "2027-02-30 10:00:00",
      }),
    ).toEqual([70]);
    expect(await holdsOf(customer.accountId)).toBe(0);
  });

  it("says 70 for a recipient who opted out", async () => {
    const customer = await newCustomer();
    await env.DB.prepare("INSERT INTO opt_outs (device_id, number, at_ms) VALUES (?, ?, 0)")
      .bind(customer.deviceId, NUMBER)
      .run();
    expect(await codes(customer, { number: NUMBER, message: freshText() })).toEqual([70]);
    expect(await holdsOf(customer.accountId)).toBe(0);
  });

  it("says 80 when the quota is used up, and before 90", async () => {
    const customer = await newCustomer();
    await env.DB.prepare("UPDATE package_periods SET quota = 0 WHERE device_id = ?")
      .bind(customer.deviceId)
      .run();
    expect(await codes(customer, { number: NUMBER, message: freshText() })).toEqual([80]);
    await believe(customer.deviceId, "banned");
    expect(await codes(customer, { number: NUMBER, message: freshText() })).toEqual([80]);
  });

  it("says 80 while the account owes money", async () => {
    const customer = await newCustomer();
    await env.DB.prepare("UPDATE accounts SET owed = 1 WHERE id = ?")
      .bind(customer.accountId)
      .run();
    expect(await codes(customer, { number: NUMBER, message: freshText() })).toEqual([80]);
  });

  it("says 90 for a device that cannot send, by its state", async () => {
    const customer = await newCustomer();
    const codeAt = async (status: Parameters<typeof believe>[1]) => {
      await believe(customer.deviceId, status);
      return (await codes(customer, { number: NUMBER, message: freshText() }))[0];
    };
    expect(await codeAt("unpaired")).toBe(90);
    expect(await codeAt("pairing")).toBe(90);
    expect(await codeAt("banned")).toBe(90);
    expect(await codeAt("logged_out")).toBe(90);
    expect(await codeAt("reconnecting")).toBe(10);
    expect(await codeAt("paused")).toBe(10);
  });

  it("is accepted on a logged-out device when due in more than an hour", async () => {
    const customer = await newCustomer({ status: "logged_out" });
    const inHours = (hours: number) =>
      new Date(Date.now() + (hours + 7) * 3_600_000).toISOString().slice(0, 19).replace("T", " ");
    const at = (sendingdatetime: string) =>
      codes(customer, { number: NUMBER, message: freshText(), sendingdatetime });
    expect(await at(inHours(0.9))).toEqual([90]);
    expect(await at(inHours(1.1))).toEqual([10]);
    const row = await env.DB.prepare(
      "SELECT category, due_ms - accepted_ms AS ahead FROM messages WHERE account_id = ?",
    )
      .bind(customer.accountId)
      .first<{ category: string; ahead: number }>();
    expect(row?.category).toBe("reminder");
    expect(row?.ahead).toBeGreaterThan(3_600_000);
  });
});

describe("the account's zone", () => {
  it("decides when a wall time is", async () => {
    const due = async (zone: string) => {
      const customer = await newCustomer({ account: { zone } });
      const packet = {
        number: NUMBER,
        message: freshText(),
        sendingdatetime: `${new Date().getUTCFullYear() + 1}-01-02 10-00-00`,
      };
      const [told] = packetsOf(await send(customer, [packet]));
      const row = await env.DB.prepare("SELECT due_ms FROM messages WHERE id = ?")
        .bind(told?.sendingid ?? 0)
        .first<{ due_ms: number }>();
      return new Date(row?.due_ms ?? 0).toISOString().slice(4);
    };
    expect(await due("Asia/Jakarta")).toBe("-01-02T03:00:00.000Z");
    expect(await due("Asia/Makassar")).toBe("-01-02T02:00:00.000Z");
    expect(await due("Asia/Jayapura")).toBe("-01-02T01:00:00.000Z");
  });
});

describe("tenants", () => {
  it("cannot send from another's device, and cannot tell that it exists", async () => {
    const [mine, theirs] = [await newCustomer(), await newCustomer()];
    const answer = await send({ apiKey: mine.apiKey, waid: theirs.waid }, [
      { number: NUMBER, message: freshText() },
    ]);
    const unknown = await send({ apiKey: mine.apiKey, waid: "ZZZZZZ" }, [
      { number: NUMBER, message: freshText() },
    ]);
    expect(answer).toEqual({ globalstatus: 30, globalstatustext: "ApiKey not register" });
    expect(unknown).toEqual(answer);
    expect(await holdsOf(mine.accountId)).toBe(0);
    expect(await holdsOf(theirs.accountId)).toBe(0);
  });
});

describe("concurrent sends", () => {
  it("accept exactly two of twenty when there is money for two, in a hundred random rounds", async () => {
    const customer = await newCustomer({ balance: 1 });
    const { accountId } = customer;
    const second = { ...customer, ...(await newDevice(accountId)) };
    await believe(second.deviceId, "connected");
    const round = fc.record({
      spare: fc.integer({ min: 0, max: 199 }),
      senders: fc.array(fc.constantFrom(customer, second), { minLength: 20, maxLength: 20 }),
    });
    let rounds = 0;
    await fc.assert(
      fc.asyncProperty(round, async ({ spare, senders }) => {
        rounds += 1;
        const { available } = await foldOf(accountId);
        await topUp(accountId, 400 + spare - available);
        const affordable = Math.floor((await foldOf(accountId)).available / 200);
        expect(affordable).toBe(2);
        const answers = await Promise.all(
          senders.map((sender) => send(sender, [{ number: NUMBER, message: freshText() }])),
        );
        const told = answers.map((answer) => packetsOf(answer)[0]?.sendingstatus);
        expect(told.filter((code) => code === 10)).toHaveLength(2);
        expect(told.filter((code) => code === 80)).toHaveLength(18);
        expect((await foldOf(accountId)).held).toBe(rounds * 400);
      }),
      { numRuns: 100, endOnFailure: true },
    );
    const { available, held } = await foldOf(accountId);
    expect(await cachedBalances(accountId)).toEqual({ available, held, owed: 0 });
  }, 60_000);
});

describe("the balance", () => {
  it("is valid to the end of its last day in the account's zone", async () => {
    const day = new Date(Date.now() + 2 * 86_400_000).toISOString().slice(0, 10);
    const customerIn = async (zone: string) => {
      const customer = await newCustomer({ account: { zone } });
      await env.DB.prepare("UPDATE accounts SET balance_expires_on = ? WHERE id = ?")
        .bind(day, customer.accountId)
        .run();
      return customer;
    };
    const [jakarta, jayapura] = [
      await customerIn("Asia/Jakarta"),
      await customerIn("Asia/Jayapura"),
    ];
    const codeAt = async (customer: Customer, time: string) => {
      vi.useFakeTimers({ toFake: ["Date"], now: Date.parse(`${day}T${time}Z`) });
      return (await send(customer, [{ number: NUMBER, message: freshText() }])).globalstatus;
    };
    expect(await codeAt(jayapura, "14:59:59")).toBe(10);
    expect(await codeAt(jayapura, "15:00:00")).toBe(50);
    expect(await codeAt(jakarta, "15:00:00")).toBe(10);
    expect(await codeAt(jakarta, "17:00:00")).toBe(50);
    vi.useRealTimers();
  });
});
