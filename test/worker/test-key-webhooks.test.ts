/** Webhooks of test messages: the cron tells each simulated status once, in the form of a real one. */
import { env, runDurableObjectAlarm } from "cloudflare:test";
import { Webhook } from "standardwebhooks";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { setSaboteur } from "../../src/domain/crossing.ts";
import { firstMessageIdAt } from "../../src/domain/id.ts";
import { runCron } from "../../src/gateway/cron.ts";
import { tellTestStatuses } from "../../src/gateway/tell-test-statuses.ts";
import { type Delivery, HOST, Receiver } from "./endpoint-support.ts";
import {
  freshText,
  newCustomer,
  newDevice,
  newKey,
  packetsOf,
  send,
  type Customer,
} from "./support/harness.ts";
import { v1 } from "./support/v1.ts";

const READ = "6281200000030";
const REJECTED = "6281200000040";
const CANCELLED = "6281200000060";
const PENDING = "6281200000070";
const JSON_URL = `https://${HOST}/json`;
const FORM_URL = `https://${HOST}/tracking.php`;

let live: Customer;
let tester: Customer;
let receiver: Receiver;
let endpoints: DurableObjectStub[];

beforeEach(async () => {
  await env.DB.prepare("DELETE FROM scan_cursors WHERE name = 'test_statuses'").run();
  await env.DB.prepare("DELETE FROM test_messages").run();
  live = await newCustomer({ balance: 10_000 });
  tester = { ...live, apiKey: await newKey(live.accountId, { mode: "test" }) };
  receiver = new Receiver();
  endpoints = [];
});

afterEach(() => {
  setSaboteur(null);
  vi.useRealTimers();
  vi.restoreAllMocks();
});

async function endpoint(wish: object): Promise<string> {
  const { status, body } = await v1("POST", "/endpoints", live.apiKey, wish);
  expect(status).toBe(201);
  endpoints.push(env.ENDPOINTS.get(env.ENDPOINTS.idFromName(String(body["id"]))));
  return String(body["secret"]);
}

async function sent(customer: Customer, number: string): Promise<string> {
  const [told] = packetsOf(await send(customer, [{ number, message: freshText() }]));
  expect(told?.sendingstatus).toBe(10);
  return String(told?.sendingid);
}

async function cronAfter(ms: number): Promise<void> {
  vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + ms });
  await runCron(env);
}

/** Alarms are set by a clock that the test moved: it rings them itself. */
async function delivered(count: number): Promise<void> {
  const look = async () => {
    await Promise.all(endpoints.map(async (one) => runDurableObjectAlarm(one)));
    expect(receiver.deliveries).toHaveLength(count);
  };
  await vi.waitFor(look, { timeout: 3_000 });
}

function at(url: string, messageId: string): Delivery[] {
  return receiver.deliveries.filter((one) => one.url === url && one.id.includes(messageId));
}

function verified(secret: string, { body, headers }: Delivery): Record<string, unknown> {
  return new Webhook(secret).verify(body, Object.fromEntries(headers)) as Record<string, unknown>;
}

it("tells signed JSON of every status but pending, in order and once however often the cron runs", async () => {
  const secret = await endpoint({ url: JSON_URL, format: "json" });
  const read = await sent(tester, READ);
  const rejected = await sent(tester, REJECTED);
  const cancelled = await sent(tester, CANCELLED);
  await sent(tester, PENDING);
  await cronAfter(60_000);
  await delivered(5);
  await runCron(env);
  await cronAfter(60_000);
  expect(receiver.deliveries).toHaveLength(5);
  expect(at(JSON_URL, read).map(({ id }) => id)).toEqual(
    ["sent", "received", "read"].map((status) => `evt_test_${read}_${status}`),
  );
  const [first] = at(JSON_URL, read);
  vi.useRealTimers();
  vi.useFakeTimers({
    toFake: ["Date"],
    now: Number(first?.headers.get("webhook-timestamp")) * 1000,
  });
  const common = { device: tester.waid, expected_at: null, test: true };
  const told = receiver.deliveries.map((one) => verified(secret, one));
  expect(told).toContainEqual({
    type: "message.read",
    timestamp: expect.any(String),
    data: { ...common, id: read, to: READ, status: "read", reason: null },
  });
  expect(told).toContainEqual({
    type: "message.reject",
    timestamp: expect.any(String),
    data: { ...common, id: rejected, to: REJECTED, status: "reject", reason: "not_on_whatsapp" },
  });
  expect(told).toContainEqual({
    type: "message.cancel",
    timestamp: expect.any(String),
    data: { ...common, id: cancelled, to: CANCELLED, status: "cancel", reason: "expired" },
  });
});

it("tells tracking forms with exactly their keys, and inbox forms nothing", async () => {
  const secret = await endpoint({ url: FORM_URL, format: "form", kind: "tracking" });
  await endpoint({ url: `https://${HOST}/inbox.php`, format: "form", kind: "inbox" });
  const read = await sent(tester, READ);
  await cronAfter(60_000);
  await delivered(3);
  await cronAfter(60_000);
  expect(receiver.deliveries.map(({ url, body }) => [url, body])).toEqual(
    ["sent", "received", "read"].map((status) => [
      FORM_URL,
      `id=${read}&waid=${tester.waid}&number=${READ}&status=${status}`,
    ]),
  );
  const [first] = receiver.deliveries;
  if (first === undefined) throw new Error("nothing came");
  expect(first.headers.get("kabar-test")).toBe("true");
  const headers = Object.fromEntries(first.headers);
  const signature = new Webhook(secret).sign(
    first.id,
    new Date(Number(headers["webhook-timestamp"]) * 1000),
    first.body,
  );
  expect(headers["webhook-signature"]).toBe(signature);
});

it("tells an endpoint only of the types and devices it chose", async () => {
  const other = await newDevice(live.accountId);
  await endpoint({ url: `${JSON_URL}/types`, format: "json", events: ["message.read"] });
  await endpoint({ url: `${JSON_URL}/mine`, format: "json", devices: [live.waid] });
  await endpoint({ url: `${JSON_URL}/other`, format: "json", devices: [other.waid] });
  const read = await sent(tester, READ);
  await cronAfter(60_000);
  await delivered(4);
  expect(at(`${JSON_URL}/types`, read).map(({ type }) => type)).toEqual(["message.read"]);
  expect(at(`${JSON_URL}/mine`, read)).toHaveLength(3);
});

it("loses no status that came due between two runs, and waits for batches that still commit", async () => {
  await endpoint({ url: JSON_URL, format: "json" });
  await cronAfter(0);
  const read = await sent(tester, READ);
  await cronAfter(9_000);
  expect(at(JSON_URL, read)).toEqual([]);
  await cronAfter(2_500);
  await delivered(1);
  await cronAfter(60_000);
  await delivered(3);
  expect(at(JSON_URL, read).map(({ type }) => type)).toEqual([
    "message.sent",
    "message.received",
    "message.read",
  ]);
});

it("writes no more than a portion a run, goes on with the rest, and writes nothing twice", async () => {
  await endpoint({ url: JSON_URL, format: "json", events: ["message.read"] });
  const nowMs = Date.now();
  await env.DB.prepare(
    `WITH RECURSIVE i (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM i WHERE n < 600)
     INSERT INTO test_messages (account_id, id, waid, key_id, nonce, recipient, category, price_rupiah, accepted_ms,
       due_ms, expires_ms)
     SELECT ?1, ?2 + n, ?3, 1, 'n' || n, '6281234567890', 'normal', 200, ?4 + n / 2, ?4 + n / 2, ?4 + 86400000 FROM i`,
  )
    .bind(live.accountId, firstMessageIdAt(nowMs), live.waid, nowMs)
    .run();
  const written = async () => {
    const row = await env.DB.prepare(
      `SELECT count(*) AS n, count(DISTINCT subject || type) AS different, max(hour_ms % 3600000) AS off
       FROM account_events WHERE account_id = ?`,
    )
      .bind(live.accountId)
      .first<{ n: number; different: number; off: number }>();
    expect(row).toMatchObject({ different: row?.n, off: 0 });
    return row?.n ?? 0;
  };
  const laterMs = nowMs + 30_000;
  await Promise.all([tellTestStatuses(env.DB, laterMs), tellTestStatuses(env.DB, laterMs)]);
  // Two fall on each millisecond.
  expect([1_000, 1_001]).toContain(await written());
  await tellTestStatuses(env.DB, laterMs);
  expect(await written()).toBe(1_200);
  await tellTestStatuses(env.DB, laterMs + 1);
  expect(await written()).toBe(1_200);
});

it("leaves live messages to their device, and the events that are asked for without tests", async () => {
  await endpoint({ url: JSON_URL, format: "json" });
  const real = await sent(live, READ);
  const read = await sent(tester, READ);
  await cronAfter(61_000);
  await runDurableObjectAlarm(env.DEVICES.get(env.DEVICES.idFromName(live.deviceId)));
  await delivered(4);
  expect(at(JSON_URL, read)).toHaveLength(3);
  const pending = receiver.deliveries.find(({ body }) => body.includes(real));
  expect(pending?.type).toBe("message.pending");
  expect(pending?.id).toMatch(new RegExp(`^evt_${live.waid}_\\d+$`));
  expect(pending?.body).not.toContain('"test"');
  const asked = await v1("GET", "/events", live.apiKey);
  expect(JSON.stringify(asked.body)).toContain(real);
  expect(JSON.stringify(asked.body)).not.toContain(read);
  const news = await v1("GET", "/account-events", live.apiKey);
  expect(news.body).toEqual({ events: [] });
});
