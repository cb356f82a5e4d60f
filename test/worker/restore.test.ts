/**
 * Books that have forgotten what devices know. Here they never knew it: messages are given to the objects behind D1's
 * back, which is how D1 stands after it was set back. Money is read by SQL over `transfers`. A real D1 that goes back in
 * time: test/flow/restore.test.ts.
 */
import {
  env,
  evictDurableObject,
  runDurableObjectAlarm,
  runInDurableObject,
} from "cloudflare:test";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import type { DeviceRpc, MessageToEnqueue } from "../../src/device/interface.ts";
import type { ScriptedHost } from "./device-host.ts";
import { messageTo, pairedHost, statusOf, type TestDevice, unwrap } from "./device-support.ts";
import { findDifferences } from "../../src/billing/reconcile.ts";
import {
  foldOf,
  freshText,
  newCustomer,
  operator,
  packetsOf,
  request,
  send,
  OPERATOR_TOKEN,
  topUp,
  type Customer,
} from "./support/harness.ts";
import { legsOf, usedOf } from "./support/books.ts";

const PRICE = 200;

interface BooksAnswer {
  held_since: string | null;
  books_generation: number;
  listing: boolean;
  devices: { all: number; untold: number; telling: number; unknown: number };
  troubled: { device_id: string; account_id: number; obstacle: string; messages_left: number }[];
  texts_only_in_books: number | null;
}

const restoreStub = () => env.RESTORE.get(env.RESTORE.idFromName("restore"));

beforeEach(() => {
  vi.spyOn(console, "warn").mockImplementation(() => undefined);
  vi.spyOn(console, "log").mockImplementation(() => undefined);
});

afterEach(async () => {
  vi.useRealTimers();
  // The next test begins without what this one left stuck.
  await runInDurableObject(restoreStub(), (_, { storage }) => {
    storage.sql.exec("DELETE FROM devices");
    storage.sql.exec("UPDATE state SET held_since_ms = NULL, restoring = 0, list_ms = NULL");
  });
  await env.DB.prepare("UPDATE devices SET deleted_ms = 1").run();
  vi.restoreAllMocks();
});

const books = () => operator<BooksAnswer>("GET", "/books");

/** Lets the Restore object work until nothing more happens by itself. */
async function settled(isDone: (answer: BooksAnswer) => boolean = isQuiet): Promise<BooksAnswer> {
  return vi.waitFor(
    async () => {
      await runDurableObjectAlarm(restoreStub());
      const answer = await books();
      if (!isDone(answer)) throw new Error(JSON.stringify(answer));
      return answer;
    },
    { timeout: 20_000, interval: 50 },
  );
}

function isQuiet({ listing, devices }: BooksAnswer): boolean {
  return !listing && devices.untold + devices.telling === 0;
}

async function restored(): Promise<BooksAnswer> {
  await operator("POST", "/books/hold");
  await settled();
  await operator("POST", "/books/raise");
  return settled();
}

async function release(): Promise<void> {
  await operator("POST", "/books/release", {});
  await settled();
}

function deviceOf({ deviceId, accountId, waid }: Customer): TestDevice {
  return {
    identity: { deviceId, accountId, waid },
    stub: env.DEVICES.get(env.DEVICES.idFromName(deviceId)),
  };
}

async function pairedCustomer(balance = 100_000): Promise<{
  customer: Customer;
  device: TestDevice;
  host: ScriptedHost;
}> {
  const customer = await newCustomer({ balance });
  const device = deviceOf(customer);
  await unwrap(device.stub.install(device.identity));
  return { customer, device, host: await pairedHost(device) };
}

/** As the books had accepted it, of which they know nothing now. */
async function unknownToBooks(
  device: TestDevice,
  over: Partial<MessageToEnqueue> = {},
): Promise<MessageToEnqueue> {
  const nowMs = Date.now();
  const message = messageTo("6281234567890", {
    priceRupiah: PRICE,
    periodId: 999_999,
    acceptedMs: nowMs,
    dueMs: nowMs,
    ...over,
  });
  await unwrap((device.stub as unknown as DeviceRpc).enqueue(device.identity, [message]));
  return message;
}

async function ended(
  device: TestDevice,
  host: ScriptedHost,
  how: "settle" | "void" | "refund",
): Promise<MessageToEnqueue> {
  const message = await unknownToBooks(device, { to: `6281${Math.floor(Math.random() * 1e9)}` });
  const command = await host.command("send");
  await host.commitFor(command);
  await host.ack(command, how === "void" ? 479 : null);
  if (how === "refund") await host.ack(command, 479);
  return message;
}

const kindsOf = async (id: number): Promise<string[]> =>
  (await legsOf(id)).map(({ kind, amount }) => `${kind} ${amount}`);

const later = { dueMs: Date.now() + 3_600_000, expiresMs: Date.now() + 90_000_000 };

it("books hear of holds, charges, voids and refunds again, to the rupiah, and hand-over goes on", async () => {
  const { customer, device, host } = await pairedCustomer();
  const settledOne = await ended(device, host, "settle");
  const voided = await ended(device, host, "void");
  const refunded = await ended(device, host, "refund");
  const waiting = await unknownToBooks(device, later);
  expect(await foldOf(customer.accountId)).toMatchObject({ available: 100_000, held: 0 });
  await restored();
  expect(await kindsOf(settledOne.id)).toEqual(["hold 200", "settle 200"]);
  expect(await kindsOf(voided.id)).toEqual(["hold 200", "void 200"]);
  expect(await kindsOf(refunded.id)).toEqual(["hold 200", "settle 200", "refund 200"]);
  expect(await kindsOf(waiting.id)).toEqual(["hold 200"]);
  expect(await foldOf(customer.accountId)).toMatchObject({
    available: 100_000 - 2 * PRICE,
    held: PRICE,
    revenue: PRICE,
  });
  expect(await usedOf(customer.deviceId)).toBe(3);
  expect(await findDifferences(env.DB)).toEqual({ accounts: [], periods: [], messages: [] });
  const due = await unknownToBooks(device, { acceptedMs: Date.now() - 60_000 });
  expect(host.here("command")).toEqual([]);
  await release();
  expect((await host.command("send")).messageId).toBe(due.id);
});

it("telling again changes nothing, also after a restart in the middle", async () => {
  const { customer, device, host } = await pairedCustomer();
  for (let n = 0; n < 5; n += 1) await ended(device, host, "settle");
  await operator("POST", "/books/hold");
  await settled();
  await operator("POST", "/books/raise");
  await runDurableObjectAlarm(restoreStub());
  await evictDurableObject(device.stub, { webSockets: "close" });
  await settled();
  const once = await foldOf(customer.accountId);
  expect(once).toMatchObject({ available: 100_000 - 5 * PRICE, revenue: 5 * PRICE });
  await operator("POST", "/books/raise");
  await settled();
  expect(await foldOf(customer.accountId)).toEqual(once);
});

it("what the balance does not bear waits for the top-up that was forgotten, and nothing is sent before", async () => {
  const { customer, device, host } = await pairedCustomer(3 * PRICE);
  const messages: MessageToEnqueue[] = [];
  for (let n = 0; n < 5; n += 1) messages.push(await ended(device, host, "settle"));
  await operator("POST", "/books/hold");
  await settled();
  await operator("POST", "/books/raise");
  const stuck = await settled(({ troubled }) => troubled.length > 0);
  expect(stuck.troubled).toEqual([
    expect.objectContaining({
      device_id: customer.deviceId,
      obstacle: "balance_short",
      messages_left: 2,
    }),
  ]);
  const refusal = await request("POST", "/operator/books/release", {
    token: OPERATOR_TOKEN,
    body: "{}",
  });
  expect([refusal.status, (await refusal.json<{ code: string }>()).code]).toEqual([
    409,
    "not_through",
  ]);
  await operator("POST", "/books/release", { force: true });
  await settled(({ devices }) => devices.untold === 0);
  const waiting = await unknownToBooks(device);
  expect(await statusOf(device, waiting.id)).toBe("pending: queued");
  expect(host.here("command")).toEqual([]);
  await topUp(customer.accountId, 10 * PRICE);
  vi.setSystemTime(Date.now() + 120_000);
  await runDurableObjectAlarm(device.stub);
  expect((await host.command("send")).messageId).toBe(waiting.id);
  await settled();
  for (const { id } of messages) expect(await kindsOf(id)).toEqual(["hold 200", "settle 200"]);
  expect(await foldOf(customer.accountId)).toMatchObject({ revenue: 5 * PRICE });
});

it("a hold that was given back needs no balance, and warns of none that is low", async () => {
  const { customer, device, host } = await pairedCustomer(PRICE);
  const voided = [await ended(device, host, "void"), await ended(device, host, "void")];
  const paid = await ended(device, host, "settle");
  const again = await ended(device, host, "void");
  await restored();
  for (const { id } of [...voided, again]) {
    expect(await kindsOf(id)).toEqual(["hold 200", "void 200"]);
  }
  expect(await kindsOf(paid.id)).toEqual(["hold 200", "settle 200"]);
  const row = await env.DB.prepare("SELECT available, credit_limit FROM accounts WHERE id = ?")
    .bind(customer.accountId)
    .first();
  expect(row).toEqual({ available: 0, credit_limit: 0 });
  expect(await usedOf(customer.deviceId)).toBe(1);
});

it("an end that the books lost beside a hold they kept is told again", async () => {
  const { customer, device } = await pairedCustomer();
  const told = packetsOf(
    await send(customer, [
      { number: "6281234567890", message: freshText(), sendingdatetime: "2027-01-05 10:00:00" },
    ]),
  );
  const id = told[0]?.sendingid ?? 0;
  expect(await kindsOf(id)).toEqual(["hold 200"]);
  const cancelled = await unwrap(device.stub.cancel(device.identity, [id], "operator"));
  expect(cancelled).toMatchObject([{ status: "cancel" }]);
  await vi.waitFor(async () => expect(await kindsOf(id)).toEqual(["hold 200", "void 200"]), 5_000);
  // As D1 stood before that end.
  await env.DB.exec("DROP TRIGGER transfers_stay");
  await env.DB.batch([
    env.DB.prepare("DELETE FROM transfers WHERE ref = ? AND leg = 'end'").bind(`message:${id}`),
    env.DB.prepare(
      "UPDATE messages SET status = 'pending', rev = 0, ended_ms = NULL WHERE id = ?",
    ).bind(id),
    env.DB.prepare(
      "UPDATE accounts SET available = available - 200, held = held + 200 WHERE id = ?",
    ).bind(customer.accountId),
    env.DB.prepare("UPDATE package_periods SET used = used + 1 WHERE device_id = ?").bind(
      customer.deviceId,
    ),
  ]);
  await env.DB.exec(
    "CREATE TRIGGER transfers_stay BEFORE DELETE ON transfers BEGIN SELECT RAISE(ABORT, 'transfers are never deleted'); END",
  );
  await restored();
  await runDurableObjectAlarm(device.stub);
  await vi.waitFor(async () => expect(await kindsOf(id)).toEqual(["hold 200", "void 200"]), 5_000);
  expect(await foldOf(customer.accountId)).toMatchObject({ available: 100_000, held: 0 });
});

it("while it is held a send is refused without charge, and a text accepted before still comes in", async () => {
  const { customer, device, host } = await pairedCustomer();
  const before = await unknownToBooks(device, later);
  await operator("POST", "/books/hold");
  await settled();
  const [told] = packetsOf(
    await send(customer, [{ number: "6281234567890", message: freshText() }]),
  );
  expect(told).toMatchObject({ sendingstatus: 90, sendingid: 0, price: 0 });
  const late = await unknownToBooks(device, { acceptedMs: Date.now() - 60_000 });
  expect(await statusOf(device, late.id)).toBe("pending: queued");
  expect(host.here("command")).toEqual([]);
  await runDurableObjectAlarm(device.stub);
  await vi.waitFor(
    async () =>
      expect(await foldOf(customer.accountId)).toMatchObject({ available: 100_000, held: 0 }),
    5_000,
  );
  await release();
  expect((await host.command("send")).messageId).toBe(late.id);
  expect(await statusOf(device, before.id)).toBe("pending: scheduled");
  const [after] = packetsOf(
    await send(customer, [{ number: "6281234567891", message: freshText() }]),
  );
  expect(after?.sendingstatus).toBe(10);
});

it("a device that the books do not know books nothing, whoever has its account's number now", async () => {
  const { device, host, customer } = await pairedCustomer();
  const message = await ended(device, host, "settle");
  await operator("POST", "/books/hold");
  await settled();
  for (const [table, column] of [
    ["devices", "id"],
    ["subscriptions", "device_id"],
    ["package_periods", "device_id"],
  ]) {
    await env.DB.prepare(`DELETE FROM ${table} WHERE ${column} = ?`).bind(customer.deviceId).run();
  }
  await operator("POST", "/books/raise");
  const stuck = await settled(({ troubled }) => troubled.length > 0);
  expect(stuck).toMatchObject({
    devices: { unknown: 1 },
    troubled: [{ device_id: customer.deviceId, obstacle: "device_unknown" }],
  });
  expect(await kindsOf(message.id)).toEqual([]);
  expect(await foldOf(customer.accountId)).toMatchObject({ available: 100_000 });
  // The operator knows whose it is and enters it again.
  const wish = { device_id: customer.deviceId, name: "Loket", plan: "A" };
  expect(await operator("POST", "/books/devices", wish)).toEqual({
    device_id: customer.deviceId,
    waid: customer.waid,
    account_id: customer.accountId,
  });
  expect(await operator("POST", "/books/devices", wish)).toMatchObject({ waid: customer.waid });
  await settled((answer) => {
    vi.setSystemTime(Date.now() + 10_000);
    return answer.devices.unknown + answer.devices.telling === 0;
  });
  expect(await kindsOf(message.id)).toEqual(["hold 200", "settle 200"]);
  const twice = await request("POST", "/operator/books/devices", {
    token: OPERATOR_TOKEN,
    body: JSON.stringify(wish),
  });
  expect(twice.status).toBe(404);
});

it("an account that was forgotten leaves its number taken", async () => {
  const { id } = await operator<{ id: number }>("POST", "/accounts", { name: "Toko Baru" });
  await operator("POST", "/books/hold");
  await settled();
  await env.DB.prepare("DELETE FROM accounts WHERE id = ?").bind(id).run();
  await operator("POST", "/books/raise");
  await settled();
  const next = await operator<{ id: number }>("POST", "/accounts", { name: "Toko Lain" });
  expect(next.id).toBeGreaterThan(id);
});

it("settings and status that the books forgot come back in step", async () => {
  const { device, customer } = await pairedCustomer();
  const settings = {
    revision: 40,
    keepsEvents: false,
    endpoints: [],
    textsKept: "everybody" as const,
    textsKeptMs: 86_400_000,
  };
  await unwrap(device.stub.configure(device.identity, settings));
  await env.DB.prepare("UPDATE devices SET status = 'unpaired', status_revision = 0 WHERE id = ?")
    .bind(customer.deviceId)
    .run();
  await restored();
  await runDurableObjectAlarm(device.stub);
  await vi.waitFor(async () => {
    const row = await env.DB.prepare("SELECT status, settings_revision FROM devices WHERE id = ?")
      .bind(customer.deviceId)
      .first();
    expect(row).toEqual({ status: "connected", settings_revision: 41 });
  }, 5_000);
});
