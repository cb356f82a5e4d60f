/**
 * Sends at the edges of what is allowed, many at once: the last messages of a quota, the moment at which one period
 * gives way to the next, and one name for two different requests. Counted by SQL of the test's own.
 */
import { env } from "cloudflare:test";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { freshText, newCustomer, operator, packetsOf, send } from "./support/harness.ts";
import type { Customer } from "./support/harness.ts";
import { v1 } from "./support/v1.ts";

const DAY_MS = 86_400_000;
const NUMBER = "6281310001001";

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["Date"], now: Date.now() });
});
afterEach(() => {
  vi.useRealTimers();
});

interface Period {
  id: number;
  endsMs: number;
  used: number;
  holds: number;
  voids: number;
}

/** With the money lines that name each. */
async function periodsOf({ deviceId }: Customer): Promise<Period[]> {
  const { results } = await env.DB.prepare(
    `SELECT p.id, p.ends_ms AS endsMs, p.used,
       (SELECT count(*) FROM transfers t WHERE t.period_id = p.id AND t.kind = 'hold') AS holds,
       (SELECT count(*) FROM transfers t WHERE t.period_id = p.id AND t.kind = 'void') AS voids
     FROM package_periods p WHERE p.device_id = ? ORDER BY p.starts_ms`,
  )
    .bind(deviceId)
    .all<Period>();
  return results;
}

async function setQuota({ deviceId }: Customer, quota: number): Promise<void> {
  await env.DB.prepare("UPDATE package_periods SET quota = ? WHERE device_id = ?")
    .bind(quota, deviceId)
    .run();
}

async function sendOne(customer: Customer): Promise<{ code: number; id: number }> {
  const [packet] = packetsOf(await send(customer, [{ number: NUMBER, message: freshText() }]));
  return { code: packet?.sendingstatus ?? 0, id: packet?.sendingid ?? 0 };
}

const many = (customer: Customer, count: number) =>
  Promise.all(Array.from({ length: count }, () => sendOne(customer)));

const accepted = (answers: { code: number }[]) => answers.filter(({ code }) => code === 10).length;

/** Moves to where the next period exists and the present one has a little left. */
async function atTheEndOfItsPeriod(customer: Customer, leftMs: number): Promise<number> {
  const [present] = await periodsOf(customer);
  const endsMs = present?.endsMs ?? 0;
  vi.setSystemTime(endsMs - DAY_MS);
  await operator("POST", "/cron", {});
  expect(await periodsOf(customer)).toHaveLength(2);
  vi.setSystemTime(endsMs - leftMs);
  return endsMs;
}

describe("the last messages of a quota", () => {
  it("are given out once, however many want them at once, also in packets of five", async () => {
    const customer = await newCustomer();
    await setQuota(customer, 7);
    const texts = () => Array.from({ length: 5 }, () => ({ number: NUMBER, message: freshText() }));
    const answers = await Promise.all(Array.from({ length: 8 }, () => send(customer, texts())));
    const codes = answers.flatMap((answer) => packetsOf(answer).map((one) => one.sendingstatus));
    expect(codes.filter((code) => code === 10)).toHaveLength(7);
    expect(codes.filter((code) => code === 80)).toHaveLength(33);
    expect(await periodsOf(customer)).toMatchObject([{ used: 7, holds: 7, voids: 0 }]);
  });
});

describe("the moment at which a period gives way to the next", () => {
  it("ends the one and begins the other, each with a quota of its own, to the millisecond", async () => {
    const customer = await newCustomer();
    const endsMs = await atTheEndOfItsPeriod(customer, 1);
    await setQuota(customer, 3);
    expect(accepted(await many(customer, 10))).toBe(3);
    vi.setSystemTime(endsMs);
    expect(accepted(await many(customer, 10))).toBe(3);
    expect(await periodsOf(customer)).toMatchObject([{ used: 3 }, { used: 3 }]);
  });

  it("lets nobody carry over what was left, nor get back into the old one what was sent in the new", async () => {
    const customer = await newCustomer();
    const endsMs = await atTheEndOfItsPeriod(customer, 1);
    await setQuota(customer, 2);
    const late = await sendOne(customer);
    vi.setSystemTime(endsMs);
    expect(accepted(await many(customer, 5))).toBe(2);
    // Withdrawn after the boundary: the place is given back where it was taken.
    const cancelled = await v1("POST", `/messages/${late.id}/cancel`, customer.apiKey, {});
    expect(cancelled.status).toBe(200);
    await vi.waitFor(async () => {
      expect(await periodsOf(customer)).toMatchObject([
        { used: 0, holds: 1, voids: 1 },
        { used: 2, holds: 2, voids: 0 },
      ]);
    });
    expect((await sendOne(customer)).code).toBe(80);
  });

  it("is not to be had twice by requests on both sides of it", async () => {
    const customer = await newCustomer();
    const endsMs = await atTheEndOfItsPeriod(customer, 1);
    await setQuota(customer, 4);
    const before = many(customer, 10);
    vi.setSystemTime(endsMs);
    const after = many(customer, 10);
    const total = accepted(await before) + accepted(await after);
    const periods = await periodsOf(customer);
    expect(periods.every(({ used, holds }) => used <= 4 && used === holds)).toBe(true);
    expect(periods.reduce((sum, { used }) => sum + used, 0)).toBe(total);
  });

  it("closes the package when there is no next one", async () => {
    const customer = await newCustomer();
    const [present] = await periodsOf(customer);
    vi.setSystemTime((present?.endsMs ?? 0) - 1);
    expect((await sendOne(customer)).code).toBe(10);
    vi.setSystemTime(present?.endsMs ?? 0);
    const answer = await send(customer, [{ number: NUMBER, message: freshText() }]);
    expect(answer.globalstatus).toBe(50);
  });
});

describe("one name for two different requests", () => {
  it("belongs to whichever comes first, and the other hears that it is taken", async () => {
    const customer = await newCustomer();
    const texts = [freshText(), freshText()];
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, at) =>
        v1(
          "POST",
          "/messages",
          customer.apiKey,
          { device: customer.waid, to: NUMBER, text: texts[at % 2] },
          { headers: { "idempotency-key": "order-4711" } },
        ).then(({ status, body, headers }) => ({
          text: at % 2,
          status,
          id: body["id"],
          isFirst: headers.get("idempotency-replayed") === null,
        })),
      ),
    );
    const taken = answers.filter(({ status }) => status === 202);
    const [winner] = taken;
    expect(taken).toHaveLength(10);
    expect(new Set(taken.map(({ id, text }) => `${String(id)} ${text}`)).size).toBe(1);
    expect(taken.filter(({ isFirst }) => isFirst)).toHaveLength(1);
    const others = answers.filter(({ text }) => text !== winner?.text);
    expect(new Set(others.map(({ status }) => status))).toEqual(new Set([422]));
    expect(await periodsOf(customer)).toMatchObject([{ used: 1, holds: 1 }]);
  });
});
