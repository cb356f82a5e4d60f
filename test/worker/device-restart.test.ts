/** A restart of the object in every state a message can be in: it goes on from where it stood. */
import { runInDurableObject } from "cloudflare:test";
import { afterEach, describe, expect, it, vi } from "vitest";
import type { Device } from "../../src/device/device.ts";
import { type ScriptedHost, type SendCommand } from "./device-host.ts";
import {
  enqueue,
  holdInBooks,
  messageTo,
  newDevice,
  pairedHost,
  passTime,
  restart,
  resume,
  scannedHost,
  statusOf,
  type TestDevice,
  transfersOf,
  unwrap,
  untilBooked,
} from "./device-support.ts";

afterEach(() => vi.useRealTimers());

type Loss = "hibernate" | "close";

/** After it: the same socket where sockets sleep through a restart, else a resumed one. */
async function restartAll(
  device: TestDevice,
  host: ScriptedHost,
  loss: Loss,
): Promise<ScriptedHost> {
  await restart(device, loss);
  return loss === "hibernate" ? host : resume(device, host);
}

async function inHand(): Promise<{
  device: TestDevice;
  host: ScriptedHost;
  id: number;
  command: SendCommand;
}> {
  const device = await newDevice();
  const host = await pairedHost(device);
  const message = messageTo();
  await holdInBooks(device, message);
  await enqueue(device, message);
  return { device, host, id: message.id, command: await host.command("send") };
}

describe.each<Loss>(["hibernate", "close"])("sockets: %s", (loss) => {
  it("queued: it is sent once the phone is there", async () => {
    const device = await newDevice();
    const message = messageTo();
    await enqueue(device, message);
    await restart(device, loss);
    const host = await scannedHost(device);
    const sent = [await host.command("send"), await host.command("send")];
    expect(sent.map(({ messageId }) => messageId)).toContain(message.id);
  });

  it("handing: the host's commit is taken, and it is not sent a second time", async () => {
    const before = await inHand();
    const { device, id, command } = before;
    const host = await restartAll(device, before.host, loss);
    expect(await statusOf(device, id)).toBe("pending: handed_over");
    expect(await host.commitFor(command)).toBe("committed");
    expect(host.here("command")).toEqual([]);
    await host.ack(command);
    expect(await statusOf(device, id)).toBe("sent");
  });

  it("maybe_sent: the acknowledgement counts", async () => {
    const before = await inHand();
    const { device, id, command } = before;
    await before.host.commitFor(command);
    const host = await restartAll(device, before.host, loss);
    await host.ack(command);
    expect(await statusOf(device, id)).toBe("sent");
    await untilBooked(id, ["hold", "settle"]);
  });

  it("sent, received and read: receipts go on rising", async () => {
    const before = await inHand();
    const { device, id, command } = before;
    await before.host.commitFor(command);
    await before.host.ack(command);
    let host = await restartAll(device, before.host, loss);
    await host.receipt(command, "delivered");
    host = await restartAll(device, host, loss);
    expect(await statusOf(device, id)).toBe("received");
    await host.receipt(command, "read");
    await restartAll(device, host, loss);
    expect(await statusOf(device, id)).toBe("read");
  });

  it("cancel and reject: they stay, whatever comes", async () => {
    const before = await inHand();
    const { device, id, command } = before;
    await before.host.commitFor(command);
    await before.host.ack(command, 463);
    const cancelled = messageTo();
    await unwrap(device.stub.cancel(device.identity, [cancelled.id], "customer"));
    const host = await restartAll(device, before.host, loss);
    await host.receipt(command, "read");
    expect(await statusOf(device, id)).toBe("reject: account_restricted");
    expect(await enqueue(device, cancelled)).toMatchObject([{ status: "cancel" }]);
    // WhatsApp is asked about the restriction; nothing is sent.
    expect(JSON.stringify(host.here("command"))).not.toContain('"send"');
  });

  it("a second attempt in hand: its commit is taken, and there is no third", async () => {
    const before = await inHand();
    const { device, command } = before;
    await before.host.commitFor(command);
    await passTime(device, 61_000);
    await before.host.fact({ kind: "drained" });
    const second = await before.host.command("send");
    expect(second).toEqual({ ...command, attempt: 2 });
    const host = await restartAll(device, before.host, loss);
    expect(await host.commitFor(second)).toBe("committed");
    await passTime(device, 61_000);
    await host.fact({ kind: "drained" });
    expect(host.here("command")).toEqual([]);
  });
});

it("an end that the books had not heard of is told after a restart", async () => {
  const device = await newDevice();
  const message = messageTo();
  await enqueue(device, message);
  await unwrap(device.stub.cancel(device.identity, [message.id], "customer"));
  await holdInBooks(device, message);
  await restart(device);
  expect(await transfersOf(message.id)).toEqual(["hold"]);
  await unwrap(device.stub.poke());
  await untilBooked(message.id, ["hold", "void"]);
});

it("a lost alarm is armed again by the next construction and by a poke", async () => {
  const device = await newDevice();
  const message = messageTo();
  await enqueue(device, message);
  const alarm = async () =>
    runInDurableObject(device.stub, async (_device: Device, state) => state.storage.getAlarm());
  const lose = async () =>
    runInDurableObject(device.stub, async (_device: Device, state) => state.storage.deleteAlarm());
  expect(await alarm()).not.toBeNull();
  await lose();
  await restart(device);
  expect(await alarm()).not.toBeNull();
  await lose();
  await unwrap(device.stub.poke());
  expect(await alarm()).not.toBeNull();
});
