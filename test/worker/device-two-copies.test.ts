/**
 * A message of which a second copy went out while an overtaken host still kept what WhatsApp said of the first: the
 * answers come late and from both hosts. Money is read from the books.
 */
import { afterEach, expect, it, vi } from "vitest";
import type { ScriptedHost, SendCommand } from "./device-host.ts";
import {
  connect,
  counter,
  enqueue,
  holdInBooks,
  messageTo,
  newDevice,
  pairedHost,
  passTime,
  statusOf,
  type TestDevice,
  transfersOf,
  untilBooked,
} from "./device-support.ts";

afterEach(() => vi.useRealTimers());

interface Overtaken {
  device: TestDevice;
  id: number;
  old: ScriptedHost;
  first: SendCommand;
  next: ScriptedHost;
  second: SendCommand;
}

/** The first host knows the answer and cannot tell it; the second has the second attempt in hand. */
async function overtaken(): Promise<Overtaken> {
  const device = await newDevice();
  const old = await pairedHost(device);
  const message = messageTo();
  await holdInBooks(device, message);
  await enqueue(device, message);
  const first = await old.command("send");
  await old.commitFor(first);
  await passTime(device, 61_000);
  const next = await connect(device);
  await next.open();
  await next.fact({ kind: "drained" });
  return { device, id: message.id, old, first, next, second: await next.command("send") };
}

it("the refusal of a second copy takes nothing from a first that was acknowledged", async () => {
  const { device, id, old, first, next, second } = await overtaken();
  await old.ack(first);
  expect(await next.commitFor(second)).toBe("committed");
  await next.ack(second, 479);
  expect(await statusOf(device, id)).toBe("sent");
  expect(await counter(device, "late_error")).toBe(1);
  await untilBooked(id, ["hold", "settle"]);
  await next.receipt(second);
  expect(await statusOf(device, id)).toBe("received");
  expect(await transfersOf(id)).toEqual(["hold", "settle"]);
});

it("a late refusal of the first copy ends the message, and the second copy never leaves", async () => {
  const { device, id, old, first, next, second } = await overtaken();
  await old.ack(first, 463);
  expect(await statusOf(device, id)).toBe("reject: account_restricted");
  expect(await next.commitFor(second)).toBe("epoch_over");
  await untilBooked(id, ["hold", "void"]);
});
