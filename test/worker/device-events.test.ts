/** What a device tells its account's endpoints: each change once, in order, and nothing while nobody listens. */
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { configure, dataOf, deviceWithEndpoint, typesOf } from "./device-events-support.ts";
import {
  connect,
  CONTACT,
  enqueue,
  messageTo,
  newDevice,
  pairedHost,
  passTime,
  restart,
  rowsOf,
  scannedHost,
  type TestDevice,
  unwrap,
} from "./device-support.ts";
import { newEndpoint, Receiver } from "./endpoint-support.ts";
import { OWN_PHONE, type ScriptedHost } from "./device-host.ts";

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["Date"] });
});

afterEach(() => {
  vi.restoreAllMocks();
  vi.useRealTimers();
});

/** Somebody resumes the paused phone, and another host opens it. */
async function resumed(device: TestDevice): Promise<ScriptedHost> {
  await unwrap(device.stub.resume(device.identity));
  const host = await connect(device);
  await host.open();
  return host;
}

it("a message's statuses reach the endpoint in order, each event with an id of its own", async () => {
  const receiver = new Receiver();
  const { device } = await deviceWithEndpoint();
  const host = await pairedHost(device);
  const message = messageTo();
  await enqueue(device, message);
  const command = await host.command("send");
  await host.commitFor(command);
  await host.ack(command);
  await host.receipt(command, "delivered");
  await host.receipt(command, "read");
  await host.receipt(command, "delivered");
  await vi.waitFor(() => expect(typesOf(receiver, "message.")).toHaveLength(3));
  expect(typesOf(receiver, "message.")).toEqual([
    "message.sent",
    "message.received",
    "message.read",
  ]);
  expect(new Set(receiver.ids).size).toBe(receiver.ids.length);
  expect(receiver.ids.every((id) => id.startsWith(`evt_${device.identity.waid}_`))).toBe(true);
  expect(dataOf(receiver, "message.read")).toEqual([
    {
      id: String(message.id),
      device: device.identity.waid,
      to: CONTACT,
      status: "read",
      reason: null,
      expected_at: null,
    },
  ]);
});

it("one receipt for many messages, under the private id, raises each of them; steps may be skipped, none goes back", async () => {
  const receiver = new Receiver();
  const { device } = await deviceWithEndpoint();
  const host = await pairedHost(device);
  const recipients = ["6281310001011", "6281310001012", "6281310001013"];
  const sent = [];
  for (const to of recipients) {
    await enqueue(device, messageTo(to));
    const command = await host.command("send");
    await host.commitFor(command);
    sent.push(command);
  }
  // Read before WhatsApp's acknowledgements and the phones' receipts are known, each under its own private id.
  for (const [at, { waId }] of sent.entries()) {
    const chatPhone = `${recipients[at]}@s.whatsapp.net`;
    const waIds = [waId, waId, "3EB0UNKNOWN"];
    const read = { kind: "receipt" as const, receipt: "read" as const, atMs: Date.now() };
    await host.fact({ ...read, waIds, chat: `70${at}@lid`, chatPhone });
  }
  for (const command of sent) {
    await host.ack(command);
    await host.receipt(command, "delivered");
  }
  await vi.waitFor(() => expect(typesOf(receiver, "message.")).toHaveLength(3));
  await passTime(device, 60_000);
  expect(typesOf(receiver, "message.")).toEqual(["message.read", "message.read", "message.read"]);
  expect(dataOf(receiver, "message.read").map(({ to }) => to)).toEqual(recipients);
});

it("without an endpoint nothing is written down", async () => {
  const device = await newDevice();
  const host = await pairedHost(device);
  await enqueue(device, messageTo());
  await host.commitFor(await host.command("send"));
  expect(await rowsOf(device, "SELECT n FROM events")).toEqual([]);
});

it("cancelled and refused messages are told with the reason", async () => {
  const receiver = new Receiver();
  const { device } = await deviceWithEndpoint();
  const waits = messageTo();
  await enqueue(device, waits);
  await unwrap(device.stub.cancel(device.identity, [waits.id], "customer"));
  const host = await pairedHost(device);
  await enqueue(device, messageTo());
  const command = await host.command("send");
  await host.fact({
    kind: "send_result",
    messageId: command.messageId,
    attempt: 1,
    outcome: { kind: "not_registered" },
  });
  await vi.waitFor(() => expect(typesOf(receiver)).toContain("message.reject"));
  expect(dataOf(receiver, "message.cancel")).toMatchObject([
    { id: String(waits.id), status: "cancel", reason: "cancelled_by_customer" },
  ]);
  expect(dataOf(receiver, "message.reject")).toMatchObject([{ reason: "not_on_whatsapp" }]);
});

it("a message that waits for a minute is told as pending, once, also when it came late", async () => {
  const receiver = new Receiver();
  const { device } = await deviceWithEndpoint();
  const [now, later] = [
    messageTo(),
    messageTo(CONTACT, {
      dueMs: Date.now() + 3_600_000,
      expiresMs: Date.now() + 7_200_000,
    }),
  ];
  await enqueue(device, now, later);
  await passTime(device, 59_000);
  expect(typesOf(receiver)).toEqual([]);
  await passTime(device, 2_000);
  await vi.waitFor(() => expect(typesOf(receiver)).toHaveLength(2));
  await restart(device);
  await passTime(device, 60_000);
  await enqueue(device, messageTo(CONTACT, { acceptedMs: now.acceptedMs }));
  await vi.waitFor(() => expect(typesOf(receiver)).toHaveLength(3));
  await passTime(device, 60_000);
  expect(typesOf(receiver)).toEqual(Array(3).fill("message.pending"));
  const [first, second] = dataOf(receiver, "message.pending");
  expect(first).toMatchObject({ reason: "device_offline", id: String(now.id) });
  expect(second).toMatchObject({
    reason: "scheduled",
    expected_at: new Date(later.dueMs).toISOString(),
  });
});

it("a message that leaves within the minute is never told as pending", async () => {
  const receiver = new Receiver();
  const { device } = await deviceWithEndpoint();
  const host = await pairedHost(device);
  await enqueue(device, messageTo());
  const command = await host.command("send");
  await host.commitFor(command);
  await passTime(device, 61_000);
  await host.ack(command);
  await vi.waitFor(() => expect(typesOf(receiver)).toContain("message.sent"));
  expect(typesOf(receiver)).not.toContain("message.pending");
});

it("how the phone stands is told, a short loss of its host is not", async () => {
  const receiver = new Receiver();
  const { device } = await deviceWithEndpoint();
  const host = await pairedHost(device);
  await vi.waitFor(() => expect(typesOf(receiver, "device.")).toHaveLength(2));
  await host.closeSession("lost");
  await passTime(device, 10_000);
  await host.open();
  await host.closeSession("lost");
  await passTime(device, 15_001);
  await vi.waitFor(() => expect(typesOf(receiver, "device.")).toHaveLength(3));
  await host.open();
  await host.fact({ kind: "restricted", untilMs: Date.now() + 60_000 });
  await host.closeSession("blocked");
  await vi.waitFor(() => expect(typesOf(receiver, "device.")).toHaveLength(6));
  const back = await resumed(device);
  await back.closeSession("logged_out");
  await vi.waitFor(() => expect(typesOf(receiver, "device.")).toHaveLength(8));
  expect(typesOf(receiver, "device.")).toEqual([
    "device.paired",
    "device.connected",
    "device.disconnected",
    "device.connected",
    "device.restricted",
    "device.paused",
    "device.connected",
    "device.logged_out",
  ]);
  expect(dataOf(receiver, "device.restricted")).toMatchObject([
    { phone: OWN_PHONE, until: expect.stringMatching(/Z$/) as unknown },
  ]);
  expect(dataOf(receiver, "device.paused")).toMatchObject([{ reason: "blocked" }]);
});

it("an endpoint hears what happens after it was made, in the types it wants", async () => {
  const receiver = new Receiver();
  const device = await newDevice();
  const first = await newEndpoint();
  await configure(device, [first]);
  const host = await scannedHost(device);
  await host.commitFor(await host.command("send"));
  await vi.waitFor(() => expect(typesOf(receiver)).toHaveLength(2));
  const second = await newEndpoint({ url: "https://hooks.shop.co.id/second" });
  await configure(device, [first, { endpoint: second, types: ["device.logged_out"] }]);
  await host.closeSession("blocked");
  await (await resumed(device)).closeSession("logged_out");
  await vi.waitFor(() => expect(typesOf(receiver)).toHaveLength(6));
  const heard = receiver.deliveries.filter(({ url }) => url.endsWith("/second"));
  expect(heard.map(({ type }) => type)).toEqual(["device.logged_out"]);
});

it("older settings never overwrite newer ones", async () => {
  const device = await newDevice();
  const endpoint = await newEndpoint();
  await configure(device, [endpoint]);
  const old = { revision: 0, keepsEvents: false, endpoints: [], textsKeptMs: 1 };
  const { revision } = await unwrap(
    device.stub.configure(device.identity, { ...old, textsKept: "nobody" }),
  );
  expect(revision).toBeGreaterThan(0);
  expect(await rowsOf(device, "SELECT endpoint_id FROM feeds")).toEqual([
    { endpoint_id: endpoint.who.endpointId },
  ]);
});

it("events are there to be asked for, for seven days, under numbers that never come again", async () => {
  const device = await newDevice();
  await configure(device, [], { keepsEvents: true });
  const ask = async (afterN: number, countMax = 10) =>
    unwrap(device.stub.events(device.identity, afterN, countMax));
  await enqueue(device, messageTo(), messageTo("6281234500002"));
  await passTime(device, 61_000);
  const page = await ask(0, 1);
  expect(page.events.map(({ n, event }) => [n, event.type])).toEqual([[1, "message.pending"]]);
  expect((await ask(page.upTo)).events.map(({ n }) => n)).toEqual([2]);
  await passTime(device, 8 * 24 * 3_600_000);
  await passTime(device, 8 * 24 * 3_600_000);
  expect((await ask(0)).events).toEqual([]);
  expect((await ask(0)).upTo).toBeGreaterThanOrEqual(2);
  expect(await rowsOf(device, "SELECT count(*) AS n FROM events")).toEqual([{ n: 1 }]);
  const { upTo } = await ask(0);
  await unwrap(device.stub.pair(device.identity, null));
  await enqueue(device, messageTo());
  await passTime(device, 61_000);
  expect((await ask(upTo)).events.map(({ n }) => n)).toEqual([upTo + 1]);
});
