/** A device whose host speaks the first version of the bridge: it hears nothing that this version could not read. */
import { afterEach, expect, it, vi } from "vitest";
import { readerOf } from "../support/bridge-golden.ts";
import {
  CONTACT,
  enqueue,
  knock,
  messageTo,
  newBoot,
  newDevice,
  pairedHost,
  passTime,
  resume,
  statusOf,
  ticketFor,
  unwrap,
} from "./device-support.ts";

const FIRST = 1;
const DAY_MS = 24 * 3_600_000;

afterEach(() => {
  vi.useRealTimers();
});

it("a phone's day with such a host, a restriction among it, stays within the first version", async () => {
  const device = await newDevice();
  const host = await pairedHost(device, undefined, FIRST);
  expect(host.welcome?.protocol).toBe(FIRST);
  const [message, refused] = [messageTo(CONTACT), messageTo("6281234500777")];
  await enqueue(device, message);
  const command = await host.command("send");
  await host.commitFor(command);
  await host.ack(command);
  await host.receipt(command, "read");
  await enqueue(device, refused);
  const second = await host.command("send");
  await host.commitFor(second);
  await host.ack(second, 463);
  await host.fact({ kind: "restricted", untilMs: null });
  expect(await statusOf(device, refused.id)).toBe("reject: account_restricted");
  const held = messageTo("6281234500778", { expiresMs: Date.now() + 3 * DAY_MS });
  await enqueue(device, held);
  expect(await statusOf(device, held.id)).toBe("pending: account_restricted");
  // Such a host cannot be asked: time alone ends the hold.
  await passTime(device, DAY_MS + 1_000);
  const late = await host.command("send");
  expect(late.to).toBe(held.to);
  host.hangUp();
  const back = await resume(device, host);
  await unwrap(device.stub.unpair(device.identity));
  await back.command("unlink");

  const complaint = readerOf(FIRST);
  const heard = [...host.heard, ...back.heard];
  expect(heard.length).toBeGreaterThan(15);
  expect(heard.map((frame) => complaint("device", frame)).filter(Boolean)).toEqual([]);
});

it("the answer to an upgrade names the versions a host may choose from", async () => {
  const device = await newDevice();
  await unwrap(device.stub.pair(device.identity, null));
  const boot = newBoot();
  const { ticket } = await ticketFor(device, boot);
  const answer = await knock(device, boot, { ticket });
  expect([answer.status, answer.headers.get("x-kabar-protocols")]).toEqual([101, "2,1"]);
  answer.webSocket?.accept();
  answer.webSocket?.close(1000, "test");
});
