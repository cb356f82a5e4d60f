/** Taking messages over: idempotent by id and nonce, with a stored verdict for every id ever named. */
import { afterEach, expect, it, vi } from "vitest";
import { drawMessageIds, systemRandomBytes } from "../../src/domain/id.ts";
import {
  CONTACT,
  enqueue,
  holdInBooks,
  messageTo,
  newDevice,
  pairedHost,
  passTime,
  restart,
  rowsOf,
  scannedHost,
  statusOf,
  transfersOf,
  untilBooked,
  unwrap,
} from "./device-support.ts";

afterEach(() => vi.useRealTimers());

const HOUR_MS = 3_600_000;

it("a repeated message is stored once and sent once", async () => {
  const device = await newDevice();
  const host = await pairedHost(device);
  const message = messageTo();
  await enqueue(device, message, message);
  expect(await enqueue(device, message)).toEqual([
    { id: message.id, status: "pending", reason: null },
  ]);
  await restart(device);
  await enqueue(device, message);
  await host.command("send");
  expect(host.here("command")).toEqual([]);
  expect(await rowsOf(device, "SELECT id FROM outbox WHERE id > 0")).toHaveLength(1);
});

it("another request's message with the same id is refused and disturbs nothing", async () => {
  const device = await newDevice();
  const message = messageTo();
  await enqueue(device, message);
  const stranger = { ...message, nonce: "f".repeat(32), text: "other", to: "6289900000000" };
  expect(await enqueue(device, stranger)).toEqual([
    { id: message.id, status: "cancel", reason: "abandoned" },
  ]);
  expect(await rowsOf(device, "SELECT recipient, nonce, state FROM outbox")).toEqual([
    { recipient: CONTACT, nonce: message.nonce, state: "queued" },
  ]);
});

it("an unknown message drawn more than a day ago is refused as stale and its hold given back", async () => {
  const device = await newDevice();
  const [id = 0] = drawMessageIds(Date.now() - 25 * HOUR_MS, 1, systemRandomBytes);
  const message = messageTo(CONTACT, { id });
  await holdInBooks(device, message);
  const stale = [{ id, status: "cancel", reason: "stale" }];
  expect(await enqueue(device, message)).toEqual(stale);
  expect(await enqueue(device, message)).toEqual(stale);
  await untilBooked(id, ["hold", "void"]);
});

it("an id abandoned before its message came is never sent, and its hold is given back", async () => {
  const device = await newDevice();
  const host = await pairedHost(device);
  const message = messageTo();
  await holdInBooks(device, message);
  await unwrap(device.stub.abandon(device.identity, [message.id]));
  expect(await transfersOf(message.id)).toEqual(["hold"]);
  expect(await enqueue(device, message)).toEqual([
    { id: message.id, status: "cancel", reason: "abandoned" },
  ]);
  await untilBooked(message.id, ["hold", "void"]);
  expect(host.here("command")).toEqual([]);
});

it("an id abandoned by one request takes no message from another that drew the same id", async () => {
  const device = await newDevice();
  const [waiting, later] = [messageTo(), messageTo("6281234500001")];
  await enqueue(device, waiting);
  const lost = "0123456789abcdef0123456789abcdef";
  await unwrap(device.stub.abandon(device.identity, [waiting.id, later.id], lost));
  expect(await statusOf(device, waiting.id)).toBe("pending: device_offline");
  await restart(device);
  // The lost request's own message, should it come after all, gets the verdict that was left for it.
  const ofLost = { ...messageTo(), nonce: lost };
  await unwrap(device.stub.abandon(device.identity, [ofLost.id], lost));
  expect(await enqueue(device, ofLost, later)).toEqual([
    { id: ofLost.id, status: "cancel", reason: "abandoned" },
    { id: later.id, status: "pending", reason: null },
  ]);
  expect(await statusOf(device, later.id)).toBe("pending: device_offline");
});

it("an id abandoned by two requests is sent for neither", async () => {
  const device = await newDevice();
  const [one, other] = [messageTo(), messageTo()];
  const same = { ...other, id: one.id };
  await unwrap(device.stub.abandon(device.identity, [one.id], one.nonce));
  await unwrap(device.stub.abandon(device.identity, [one.id], same.nonce));
  const abandoned = [{ id: one.id, status: "cancel", reason: "abandoned" }];
  expect(await enqueue(device, one)).toEqual(abandoned);
  expect(await enqueue(device, same)).toEqual(abandoned);
});

it("an id abandoned after its message came takes nothing away: whoever brought it was answered yes", async () => {
  const device = await newDevice();
  const message = messageTo();
  await enqueue(device, message);
  await unwrap(device.stub.abandon(device.identity, [message.id]));
  await unwrap(device.stub.abandon(device.identity, [message.id], message.nonce));
  expect(await statusOf(device, message.id)).toBe("pending: device_offline");
  expect(await enqueue(device, message)).toEqual([
    { id: message.id, status: "pending", reason: null },
  ]);
});

it("a queued message that is cancelled ends, one that was handed over does not", async () => {
  const device = await newDevice();
  const second = messageTo("6281234500001");
  await enqueue(device, second);
  const verdicts = await unwrap(device.stub.cancel(device.identity, [second.id], "operator"));
  expect(verdicts).toEqual([{ id: second.id, status: "cancel", reason: "cancelled_by_operator" }]);
  const host = await pairedHost(device);
  const third = messageTo();
  await enqueue(device, third);
  expect(await unwrap(device.stub.cancel(device.identity, [third.id], "customer"))).toEqual([
    { id: third.id, status: "pending", reason: null },
  ]);
  expect((await host.command("send")).messageId).toBe(third.id);
});

it("a cancel of an unknown id is remembered", async () => {
  const device = await newDevice();
  const message = messageTo();
  const cancelled = [{ id: message.id, status: "cancel", reason: "cancelled_by_customer" }];
  expect(await unwrap(device.stub.cancel(device.identity, [message.id], "customer"))).toEqual(
    cancelled,
  );
  expect(await unwrap(device.stub.message(device.identity, message.id))).toBeNull();
  await restart(device);
  expect(await enqueue(device, message)).toEqual(cancelled);
});

it("a scheduled message waits for its time and then goes by alarm", async () => {
  const device = await newDevice();
  const host = await pairedHost(device);
  const nowMs = Date.now();
  const message = messageTo(CONTACT, { dueMs: nowMs + HOUR_MS, expiresMs: nowMs + 25 * HOUR_MS });
  await enqueue(device, message);
  expect(await statusOf(device, message.id)).toBe("pending: scheduled");
  expect(host.here("command")).toEqual([]);
  await passTime(device, HOUR_MS - 1_000);
  expect(host.here("command")).toEqual([]);
  await passTime(device, 1_000);
  expect((await host.command("send")).messageId).toBe(message.id);
});

it("what waited goes by category first, and one recipient has one undecided message at a time", async () => {
  const device = await newDevice();
  const [reminder, notification, code] = [
    messageTo("6281234500001", { category: "reminder" }),
    messageTo("6281234500002", { category: "notification" }),
    messageTo("6281234500003", { category: "otp" }),
  ];
  const behind = messageTo("6281234500003", { category: "otp" });
  await enqueue(device, reminder, notification, code);
  await enqueue(device, behind);
  expect(await statusOf(device, code.id)).toBe("pending: device_offline");
  const host = await scannedHost(device);
  const sent = [];
  for (let taken = 0; taken < 4; taken += 1) sent.push(await host.command("send"));
  const order = sent.filter(({ messageId }) => messageId > 0);
  expect(order.map(({ messageId }) => messageId)).toEqual([code.id, notification.id, reminder.id]);
  expect(await statusOf(device, behind.id)).toBe("pending: queued");
  const [first] = order;
  if (first === undefined) throw new Error("no command");
  await host.commitFor(first);
  await host.ack(first);
  expect((await host.command("send")).messageId).toBe(behind.id);
});

it("at most 32 messages are in a host's hands", async () => {
  const device = await newDevice();
  const host = await pairedHost(device);
  const messages = Array.from({ length: 40 }, (_, index) => messageTo(`62812000000${10 + index}`));
  await enqueue(device, ...messages);
  const commands = [];
  for (let taken = 0; taken < 32; taken += 1) commands.push(await host.command("send"));
  expect(host.here("command")).toEqual([]);
  const [first] = commands;
  if (first === undefined) throw new Error("no command");
  await host.commitFor(first);
  await host.ack(first);
  expect(await host.command("send")).toMatchObject({ attempt: 1 });
});
