/** One text's way through the device, from pairing to the read receipt. */
import { expect, it } from "vitest";
import { OWN_PHONE } from "./device-host.ts";
import {
  connect,
  CONTACT,
  enqueue,
  messageTo,
  newDevice,
  statusOf,
  unwrap,
} from "./device-support.ts";

it("takes a text from pairing to read", async () => {
  const device = await newDevice();
  expect(await unwrap(device.stub.pair(device.identity, null))).toMatchObject({
    status: "pairing",
    pairing: null,
  });
  const host = await connect(device);
  expect(host.welcome).toMatchObject({ pairing: "unpaired", keysSeq: 0, rows: [] });
  expect(await host.command("pair")).toEqual({ kind: "pair", phone: null });
  await host.fact({ kind: "qr", qr: "2@secret", expiresAtMs: Date.now() + 20_000 });
  expect((await unwrap(device.stub.view(device.identity))).pairing?.qr).toBe("2@secret");
  expect(await host.commit({ rows: [{ type: "creds", id: "creds", value: "sealed" }] })).toBe(
    "committed",
  );
  await host.fact({ kind: "paired", phone: OWN_PHONE, lid: null, platform: null });
  await host.open();
  expect(await unwrap(device.stub.view(device.identity))).toEqual({
    waid: "ABC234",
    status: "connected",
    phone: OWN_PHONE,
    pausedReason: null,
    restrictedUntilMs: null,
    pairing: null,
  });
  const greeting = await host.command("send");
  expect(greeting).toMatchObject({ to: OWN_PHONE, text: "Device ID ABC234 connected", attempt: 1 });
  expect(greeting.messageId).toBeLessThan(0);

  const message = messageTo();
  expect(await enqueue(device, message)).toEqual([
    { id: message.id, status: "pending", reason: null },
  ]);
  const command = await host.command("send");
  expect(command).toMatchObject({
    messageId: message.id,
    attempt: 1,
    to: CONTACT,
    text: message.text,
    typingMs: 0,
  });
  expect(command.waId).toMatch(/^3EB0[0-9A-F]{18}$/);
  expect(await statusOf(device, message.id)).toBe("pending: handed_over");
  expect(await host.commitFor(command)).toBe("committed");
  expect(await statusOf(device, message.id)).toBe("pending: handed_over");
  await host.ack(command);
  expect(await statusOf(device, message.id)).toBe("sent");
  await host.receipt(command, "delivered");
  expect(await statusOf(device, message.id)).toBe("received");
  await host.receipt(command, "read");
  const view = await unwrap(device.stub.message(device.identity, message.id));
  expect(view?.history.map(({ status, reason }) => reason ?? status)).toEqual([
    "queued",
    "handed_over",
    "sent",
    "received",
    "read",
  ]);
});
