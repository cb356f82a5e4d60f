/** What the balance shows, and the quarter of an hour between two looks at it. */
import { env } from "cloudflare:test";
import { afterEach, describe, expect, it, vi } from "vitest";
import {
  BALANCE_PATH,
  freshText,
  newCustomer,
  newDevice,
  newKey,
  request,
  send,
  type Customer,
} from "./support/harness.ts";

type Caller = Pick<Customer, "apiKey" | "waid">;

interface BalanceAnswer {
  globalstatus: number;
  [key: string]: unknown;
}

async function look({ apiKey, waid }: Caller) {
  const body = JSON.stringify({ apikey: apiKey, waid });
  const response = await request("POST", BALANCE_PATH, { body });
  const answer: { balance_respon: [BalanceAnswer] } = await response.json();
  return { told: answer.balance_respon[0], retryAfter: response.headers.get("retry-after") };
}

async function codeOf(caller: Caller): Promise<number> {
  return (await look(caller)).told.globalstatus;
}

function change(query: string, ...values: unknown[]) {
  return env.DB.prepare(query)
    .bind(...values)
    .run();
}

afterEach(() => {
  vi.useRealTimers();
});

describe("the balance", () => {
  it("has its keys in the documented order, and strings behind all but the status", async () => {
    const { told } = await look(await newCustomer());
    expect(Object.keys(told)).toEqual([
      "globalstatus",
      "globalstatustext",
      "Balance",
      "Expired",
      "WhatsApp Id",
      "WhatsApp Balance",
      "WhatsApp Expired",
    ]);
    for (const [key, value] of Object.entries(told)) {
      expect(typeof value).toBe(key === "globalstatus" ? "number" : "string");
    }
    for (const day of [told["Expired"], told["WhatsApp Expired"]]) {
      expect(day).toMatch(/^\d{4}-\d{2}-\d{2}$/);
    }
  });

  it("is what may still be spent: less what is held, with the credit, never below nothing", async () => {
    const customer = await newCustomer({ balance: 1_000 });
    await send(customer, [{ number: "6281234567890", message: freshText() }]);
    await change("UPDATE accounts SET credit_limit = 300 WHERE id = ?", customer.accountId);
    const { told } = await look(customer);
    expect(told).toMatchObject({ Balance: "1100", "WhatsApp Balance": "5999" });
  });

  it("of a package that is over has no messages left and its last day in the past", async () => {
    const customer = await newCustomer();
    await change(
      "UPDATE package_periods SET starts_ms = 0, ends_ms = ? WHERE device_id = ?",
      Date.parse("2026-03-01T00:00:00+07:00"),
      customer.deviceId,
    );
    const { told } = await look(customer);
    expect(told).toMatchObject({ "WhatsApp Balance": "0", "WhatsApp Expired": "2026-02-28" });
  });

  it("shows days of the account's zone", async () => {
    for (const [zone, offsetHours] of [
      ["Asia/Jakarta", 7],
      ["Asia/Jayapura", 9],
    ] as const) {
      const customer = await newCustomer({ balance: 0, account: { zone } });
      const yesterdayMs = Date.now() + (offsetHours - 24) * 3_600_000;
      const { told } = await look(customer);
      expect(told["Expired"]).toBe(new Date(yesterdayMs).toISOString().slice(0, 10));
    }
  });

  it("counts its last day in: 50 begins the day after, by the account's own midnight", async () => {
    const customer = await newCustomer();
    const today = new Date(Date.now() + 7 * 3_600_000).toISOString().slice(0, 10);
    const yesterday = new Date(Date.now() - 17 * 3_600_000).toISOString().slice(0, 10);
    const sendNow = async () =>
      (await send(customer, [{ number: "6281234567890", message: freshText() }])).globalstatus;
    const expire = (day: string) =>
      change("UPDATE accounts SET balance_expires_on = ? WHERE id = ?", day, customer.accountId);
    await expire(today);
    expect(await sendNow()).toBe(10);
    await expire(yesterday);
    expect(await sendNow()).toBe(50);
  });
});

describe("the quarter of an hour", () => {
  it("rolls from the last success, and a 35 does not extend it", async () => {
    const customer = await newCustomer();
    vi.useFakeTimers({ toFake: ["Date"] });
    const startMs = Date.now();
    expect(await codeOf(customer)).toBe(10);
    for (const [afterS, waitS] of [
      [1, "899"],
      [600, "300"],
      [899, "1"],
      [899.5, "1"],
    ] as const) {
      vi.setSystemTime(startMs + afterS * 1000);
      const { told, retryAfter } = await look(customer);
      expect([told.globalstatus, retryAfter]).toEqual([35, waitS]);
    }
    vi.setSystemTime(startMs + 900_000);
    expect(await codeOf(customer)).toBe(10);
    vi.setSystemTime(startMs + 1_799_000);
    expect(await codeOf(customer)).toBe(35);
  });

  it("is each key's and each device's own", async () => {
    const customer = await newCustomer();
    const { accountId } = customer;
    const other = { apiKey: await newKey(accountId), waid: customer.waid };
    const second = { apiKey: customer.apiKey, waid: (await newDevice(accountId)).waid };
    for (const caller of [customer, other, second]) expect(await codeOf(caller)).toBe(10);
    for (const caller of [customer, other, second]) expect(await codeOf(caller)).toBe(35);
  });

  it("is one success however many ask at once", async () => {
    const customer = await newCustomer();
    const told = await Promise.all(Array.from({ length: 8 }, () => codeOf(customer)));
    expect(told.toSorted((one, other) => one - other)).toEqual([10, 35, 35, 35, 35, 35, 35, 35]);
  });

  it("is not begun by who may not ask, and tells a stranger nothing", async () => {
    const customer = await newCustomer();
    const stranger = await newCustomer();
    expect(await codeOf({ apiKey: stranger.apiKey, waid: customer.waid })).toBe(30);
    expect(await codeOf({ apiKey: "0".repeat(32), waid: customer.waid })).toBe(30);
    const { retryAfter } = await look(customer);
    expect(retryAfter).toBeNull();
    expect(await codeOf(customer)).toBe(35);
    expect(await codeOf({ apiKey: stranger.apiKey, waid: customer.waid })).toBe(30);
  });
});
