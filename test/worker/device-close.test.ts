/** A device that is deleted: its phone is let go, nothing more leaves, every message and every hold has its end. */
import { afterEach, expect, it, vi } from "vitest";
import {
  connect,
  CONTACT,
  enqueue,
  holdInBooks,
  messageTo,
  newDevice,
  pairedHost,
  passTime,
  restart,
  statusOf,
  untilBooked,
  unwrap,
} from "./device-support.ts";

afterEach(() => vi.useRealTimers());

const DAY_MS = 86_400_000;

it("waiting messages are withdrawn and their holds given back, once", async () => {
  const device = await newDevice();
  const [one, two] = [messageTo(), messageTo("6281234567891", { dueMs: Date.now() + DAY_MS })];
  for (const message of [one, two]) await holdInBooks(device, message);
  await enqueue(device, one, two);
  await unwrap(device.stub.close(device.identity));
  await unwrap(device.stub.close(device.identity));
  for (const { id } of [one, two]) {
    expect(await statusOf(device, id)).toBe("cancel: device_deleted");
    await untilBooked(id, ["hold", "void"]);
  }
});

it("the phone is told to log out, and the message in its host's hands comes back and ends", async () => {
  vi.useFakeTimers({ toFake: ["Date"], now: Date.now() });
  const device = await newDevice();
  const host = await pairedHost(device);
  const message = messageTo();
  await holdInBooks(device, message);
  await enqueue(device, message);
  await host.command("send");
  await unwrap(device.stub.close(device.identity));
  expect(await host.command("unlink")).toEqual({ kind: "unlink" });
  expect(await statusOf(device, message.id)).toBe("pending: handed_over");
  await passTime(device, 31_000);
  expect((await host.take("revoked")).reason).toBe("unpaired");
  expect(await statusOf(device, message.id)).toBe("cancel: device_deleted");
  await untilBooked(message.id, ["hold", "void"]);
});

it("a message that may be on the wire is still settled by its proof", async () => {
  const device = await newDevice();
  const host = await pairedHost(device);
  const message = messageTo();
  await holdInBooks(device, message);
  await enqueue(device, message);
  const command = await host.command("send");
  await host.commitFor(command);
  await unwrap(device.stub.close(device.identity));
  await host.ack(command);
  expect(await statusOf(device, message.id)).toBe("sent");
  await untilBooked(message.id, ["hold", "settle"]);
});

it("stays closed over a restart, takes no message and wants no host", async () => {
  const device = await newDevice();
  await unwrap(device.stub.close(device.identity));
  await restart(device);
  const late = messageTo();
  await holdInBooks(device, late);
  expect(await enqueue(device, late)).toEqual([
    { id: late.id, status: "cancel", reason: "device_deleted" },
  ]);
  await untilBooked(late.id, ["hold", "void"]);
  expect(await device.stub.pair(device.identity, null)).toEqual({
    ok: false,
    error: { reason: "closed" },
  });
  await expect(connect(device)).rejects.toThrow("no host is wanted");
});

it("the waiting are told by id, in portions, and in the order in which they leave", async () => {
  const device = await newDevice();
  const later = { dueMs: Date.now() + DAY_MS, expiresMs: Date.now() + 2 * DAY_MS };
  const messages = [
    messageTo(CONTACT, later),
    messageTo(CONTACT, { category: "reminder" }),
    messageTo(CONTACT, { category: "otp" }),
  ];
  await enqueue(device, ...messages);
  const ids = messages.map(({ id }) => id);
  const [scheduled, reminder, otp] = ids;
  const { stub, identity } = device;
  expect(await unwrap(stub.waiting(identity, 0, 2))).toEqual(ids.slice(0, 2));
  expect(await unwrap(stub.waiting(identity, ids[1] ?? 0, 2))).toEqual(ids.slice(2));
  const queue = await unwrap(stub.queueView(identity, 10));
  expect(queue.waitingCount).toBe(3);
  expect(queue.messages.map(({ id }) => id)).toEqual([otp, reminder, scheduled]);
  const stories = await unwrap(stub.messages(identity, [otp ?? 0, 1, scheduled ?? 0]));
  expect(stories.map(({ id }) => id)).toEqual([otp, scheduled]);
});
