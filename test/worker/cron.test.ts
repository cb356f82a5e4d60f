/** The outside watcher: what it finds, hands on, wakes, makes and reports. Time is moved, never waited for. */
import { env } from "cloudflare:test";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { setSaboteur } from "../../src/domain/crossing.ts";
import { rowOf } from "./support/books.ts";
import {
  freshText,
  newCustomer,
  operator,
  packetsOf,
  send,
  type Customer,
} from "./support/harness.ts";

const NUMBER = "6281234567890";
const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;

function passTime(ms: number): void {
  vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + ms });
}

async function accepted(customer: Customer, sendingdatetime = ""): Promise<number> {
  const packet = { number: NUMBER, message: freshText(), sendingdatetime };
  const [told] = packetsOf(await send(customer, [packet]));
  expect(told?.sendingstatus).toBe(10);
  return told?.sendingid ?? 0;
}

/** A message that the books hold and whose device never heard of it. */
async function strandedMessage(customer: Customer): Promise<number> {
  setSaboteur((crossing, call) =>
    crossing.name.startsWith("device.") ? Promise.reject(new Error("unreachable")) : call(),
  );
  return accepted(customer);
}

async function knownToDevice({ deviceId, accountId, waid }: Customer, id: number) {
  const device = env.DEVICES.get(env.DEVICES.idFromName(deviceId));
  const view = await device.message({ deviceId, accountId, waid }, id);
  return view.ok && view.value !== null;
}

/** Runs the cron and tells which devices it woke. */
async function cron(): Promise<{ pokes: number; enqueues: number }> {
  const seen = { pokes: 0, enqueues: 0 };
  setSaboteur((crossing, call) => {
    if (crossing.name === "device.poke") seen.pokes += 1;
    if (crossing.name === "device.enqueue") seen.enqueues += 1;
    return call();
  });
  await operator("POST", "/cron");
  setSaboteur(null);
  return seen;
}

let alerts: string[] = [];

beforeEach(() => {
  alerts = [];
  vi.spyOn(console, "warn").mockImplementation(() => {});
  vi.spyOn(console, "error").mockImplementation((line: unknown) => {
    alerts.push(String(line));
  });
});

afterEach(async () => {
  setSaboteur(null);
  vi.useRealTimers();
  vi.restoreAllMocks();
  await env.DB.prepare("DELETE FROM scan_cursors").run();
});

describe("a text that did not reach its device", () => {
  it("is left alone for half a minute, then handed over, and forgotten in D1", async () => {
    const customer = await newCustomer();
    const id = await strandedMessage(customer);
    setSaboteur(null);
    expect(await knownToDevice(customer, id)).toBe(false);
    expect((await cron()).enqueues).toBe(0);
    expect((await rowOf(id))?.["body"]).not.toBeNull();
    passTime(32_000);
    await cron();
    expect(await knownToDevice(customer, id)).toBe(true);
    expect((await rowOf(id))?.["body"]).toBeNull();
    expect((await cron()).enqueues).toBe(0);
  });

  it("is found again after hours by the rolling scan", async () => {
    const customer = await newCustomer();
    const id = await strandedMessage(customer);
    passTime(5 * 3_600_000);
    await cron();
    expect(await knownToDevice(customer, id)).toBe(true);
  });

  it("is kept while the device cannot be reached", async () => {
    const customer = await newCustomer();
    const id = await strandedMessage(customer);
    passTime(32_000);
    await operator("POST", "/cron");
    expect((await rowOf(id))?.["body"]).not.toBeNull();
    await cron();
    expect((await rowOf(id))?.["body"]).toBeNull();
  });
});

describe("a scheduled message", () => {
  it("keeps no text in D1 once its device has it, and wakes the device when overdue", async () => {
    const customer = await newCustomer();
    const at = new Date(Date.now() + 7 * 3_600_000 + 2 * DAY_MS).toISOString();
    const id = await accepted(customer, at.slice(0, 19).replace("T", " "));
    passTime(MINUTE_MS);
    await cron();
    expect((await rowOf(id))?.["body"]).toBeNull();
    expect((await rowOf(id))?.["status"]).toBe("pending");
    passTime(2 * DAY_MS + 5 * MINUTE_MS);
    // As if the alarm had been lost: D1 does not learn what the device does about it.
    expect((await cron()).pokes).toBeGreaterThanOrEqual(1);
  });
});

describe("a message that does not end", () => {
  it("wakes its device after two minutes and calls a person when its time is over", async () => {
    const customer = await newCustomer();
    const id = await accepted(customer);
    passTime(MINUTE_MS);
    expect((await cron()).pokes).toBe(0);
    passTime(2 * MINUTE_MS);
    expect((await cron()).pokes).toBe(1);
    expect(alerts).toEqual([]);
    await env.DB.prepare("UPDATE messages SET expect_by_ms = ? WHERE id = ?")
      .bind(Date.now() - 1, id)
      .run();
    await cron();
    expect(alerts.join()).toContain("messages past their last moment");
    expect(alerts.join()).not.toContain(NUMBER);
  });
});

describe("among many", () => {
  it("a text that did not reach its device stands behind no other customer's queue", async () => {
    const [loud, quiet] = [await newCustomer({ balance: 1_000_000 }), await newCustomer()];
    const first = await accepted(loud);
    // More than one run takes along, all of them before the other's, and none of them will open.
    await env.DB.prepare(
      `WITH RECURSIVE n (value) AS (SELECT 1 UNION ALL SELECT value + 1 FROM n WHERE value < 400)
       INSERT INTO messages (id, account_id, device_id, key_id, period_id, nonce, recipient, category, price_rupiah,
         accepted_ms, due_ms, expires_ms, expect_by_ms, status, reason, rev, body, text_mac)
       SELECT m.id - 100000 + n.value, m.account_id, m.device_id, m.key_id, m.period_id, 'n' || n.value, m.recipient,
         m.category, 0, m.accepted_ms, m.due_ms, m.expires_ms, m.expect_by_ms, 'pending', 'queued', 0, m.body,
         'mac ' || n.value
       FROM messages m, n WHERE m.id = ?`,
    )
      .bind(first)
      .run();
    const id = await strandedMessage(quiet);
    passTime(4 * MINUTE_MS);
    await cron();
    expect(await knownToDevice(quiet, id)).toBe(true);
  });

  it("a device with an overdue message is woken, however many messages of another are overdue", async () => {
    const [loud, quiet] = [await newCustomer({ balance: 1_000_000 }), await newCustomer()];
    for (let sent = 0; sent < 3; sent += 1) await accepted(loud);
    await accepted(quiet);
    passTime(4 * MINUTE_MS);
    const overdue = await env.DB.prepare(
      "SELECT count(DISTINCT device_id) AS n FROM messages WHERE status = 'pending' AND due_ms < ?",
    )
      .bind(Date.now() - 2 * MINUTE_MS)
      .first<{ n: number }>();
    expect(overdue?.n).toBeGreaterThanOrEqual(2);
    expect((await cron()).pokes).toBe(overdue?.n);
  });
});

describe("package periods", () => {
  it("follow each other without a gap, the next one made three days ahead, once", async () => {
    const customer = await newCustomer({ plan: "B" });
    const periods = async () => {
      const { results } = await env.DB.prepare(
        "SELECT starts_ms, ends_ms, quota, used, price_rupiah FROM package_periods WHERE device_id = ? ORDER BY starts_ms",
      )
        .bind(customer.deviceId)
        .all<{ starts_ms: number; ends_ms: number }>();
      return results;
    };
    await cron();
    const [first] = await periods();
    expect(await periods()).toHaveLength(1);
    passTime((first?.ends_ms ?? 0) - Date.now() - 2 * DAY_MS);
    await cron();
    await cron();
    const [, second, ...more] = await periods();
    expect(more).toEqual([]);
    expect(second).toMatchObject({
      starts_ms: first?.ends_ms,
      quota: 12_000,
      used: 0,
      price_rupiah: 200,
    });
    const days = ((second?.ends_ms ?? 0) - (second?.starts_ms ?? 0)) / DAY_MS;
    expect(days).toBeGreaterThanOrEqual(28);
    expect(days).toBeLessThanOrEqual(31);
  });
});

describe("the hourly proof of the books", () => {
  it("is silent while they agree and names the account when a cache was changed", async () => {
    const customer = await newCustomer();
    await accepted(customer);
    await cron();
    expect(alerts).toEqual([]);
    await env.DB.prepare("UPDATE accounts SET available = available + 1 WHERE id = ?")
      .bind(customer.accountId)
      .run();
    await env.DB.prepare("UPDATE package_periods SET used = used + 1 WHERE device_id = ?")
      .bind(customer.deviceId)
      .run();
    await cron();
    expect(alerts.join()).toContain(`"what":"accounts","ids":"${customer.accountId}"`);
    expect(alerts.join()).toContain('"what":"periods"');
    await env.DB.prepare("UPDATE accounts SET available = available - 1 WHERE id = ?")
      .bind(customer.accountId)
      .run();
  });

  it("forgets tombstones that no batch can meet any more", async () => {
    await env.DB.prepare(
      "INSERT INTO abandoned (message_id, nonce, at_ms) VALUES (1, 'x', 0)",
    ).run();
    await cron();
    const left = await env.DB.prepare("SELECT count(*) AS n FROM abandoned").first();
    expect(left).toEqual({ n: 0 });
  });
});
