/** Who may speak for a phone: tickets, epochs, resumes, and what an overtaken host may still say. */
import { afterEach, expect, it, vi } from "vitest";
import { TICKET_LIFE_MS } from "../../src/bridge/wire.ts";
import {
  connect,
  counter,
  enqueue,
  knock,
  messageTo,
  newBoot,
  newDevice,
  pairedHost,
  passTime,
  restart,
  resume,
  statusOf,
  ticketFor,
  unwrap,
} from "./device-support.ts";

afterEach(() => vi.useRealTimers());

async function pairingDevice() {
  const device = await newDevice();
  await unwrap(device.stub.pair(device.identity, null));
  return device;
}

it("a ticket opens one socket once", async () => {
  const device = await pairingDevice();
  const boot = newBoot();
  const { ticket } = await ticketFor(device, boot);
  expect((await knock(device, boot, { ticket })).status).toBe(101);
  expect((await knock(device, boot, { ticket })).status).toBe(403);
});

it("a ticket is over after 15 seconds", async () => {
  const device = await pairingDevice();
  const boot = newBoot();
  const { ticket } = await ticketFor(device, boot);
  vi.setSystemTime(Date.now() + TICKET_LIFE_MS);
  expect((await knock(device, boot, { ticket })).status).toBe(403);
});

it("a ticket is good for its own host, boot and device only", async () => {
  const device = await pairingDevice();
  const other = await pairingDevice();
  const boot = newBoot();
  const { ticket } = await ticketFor(device, boot);
  expect((await knock(device, { ...boot, bootId: "another" }, { ticket })).status).toBe(403);
  expect((await knock(device, { ...boot, hostId: "another" }, { ticket })).status).toBe(403);
  expect((await knock(other, boot, { ticket })).status).toBe(403);
  expect((await knock(device, boot, { ticket })).status).toBe(101);
});

it("an epoch is minted once per placement, and rises with each", async () => {
  const device = await pairingDevice();
  const boot = newBoot();
  const first = await ticketFor(device, boot, 1001);
  const again = await ticketFor(device, boot, 1001);
  const second = await ticketFor(device, newBoot(), 1002);
  expect(again.epoch).toBe(first.epoch);
  expect(again.ticket).not.toBe(first.ticket);
  expect(second.epoch).toBeGreaterThan(first.epoch);
});

it("a ticket of an overtaken epoch is refused", async () => {
  const device = await pairingDevice();
  const boot = newBoot();
  const { ticket } = await ticketFor(device, boot);
  await connect(device);
  expect((await knock(device, boot, { ticket })).status).toBe(409);
});

it("no host is let in while none is wanted", async () => {
  const device = await newDevice();
  const boot = newBoot();
  const { ticket } = await ticketFor(device, boot);
  expect((await knock(device, boot, { ticket })).status).toBe(409);
});

it("an overtaken host is told, its keys are refused and its facts are heard", async () => {
  const device = await newDevice();
  const old = await pairedHost(device);
  const [committed, inHand] = [messageTo(), messageTo("6281234500001")];
  await enqueue(device, committed, inHand);
  const first = await old.command("send");
  const second = await old.command("send");
  await old.commitFor(first);

  const next = await connect(device);
  expect((await old.take("revoked")).reason).toBe("new_epoch");
  expect(next.welcome?.epoch).toBeGreaterThan(old.welcome?.epoch ?? 0);
  expect(await old.commitFor(second)).toBe("epoch_over");
  old.say({ t: "keys_get", id: 9, keys: [{ type: "creds", ids: ["creds"] }] });
  await old.take("keys_error");
  expect(await statusOf(device, inHand.id)).toBe("pending: device_offline");

  await old.ack(first);
  expect(await statusOf(device, committed.id)).toBe("sent");
  await old.receipt(first);
  expect(await statusOf(device, committed.id)).toBe("received");
  await old.closeSession("logged_out");
  expect(await unwrap(device.stub.view(device.identity))).toMatchObject({ status: "reconnecting" });

  await next.open();
  const again = await next.command("send");
  expect(again).toMatchObject({ messageId: inHand.id, attempt: 1, waId: second.waId });
});

it("an overtaken host that is asked for a text again hears nothing, and the next one hears the text", async () => {
  const device = await newDevice();
  const old = await pairedHost(device);
  const message = messageTo();
  await enqueue(device, message);
  const command = await old.command("send");
  await old.commitFor(command);
  const next = await connect(device);
  const question = {
    t: "message_get",
    id: 1,
    waId: command.waId,
    chat: `${command.to}@s.whatsapp.net`,
    chatPhone: null,
  } as const;
  old.say(question);
  old.say({ t: "keys_get", id: 2, keys: [{ type: "creds", ids: ["creds"] }] });
  await old.take("keys_error");
  // "No text" would make it tell WhatsApp that the question is answered.
  expect(old.here("message")).toEqual([]);
  next.say(question);
  expect((await next.take("message")).text).toBe(command.text);
});

it("an acknowledgement counts only from the epoch that committed the message", async () => {
  const device = await newDevice();
  const old = await pairedHost(device);
  const message = messageTo();
  await enqueue(device, message);
  const command = await old.command("send");
  await old.commitFor(command);
  const next = await connect(device);
  await next.ack(command);
  expect(await statusOf(device, message.id)).toBe("pending: handed_over");
  expect(await counter(device, "ack_foreign")).toBe(1);
  await next.receipt(command);
  expect(await statusOf(device, message.id)).toBe("received");
});

it("a resume continues the epoch and gets what it had not received", async () => {
  const device = await newDevice();
  const host = await pairedHost(device);
  const [received, lost] = [messageTo(), messageTo("6281234500001")];
  await enqueue(device, received, lost);
  const first = await host.command("send");
  const lastReceived = host.lastCommandSeq;
  const second = await host.command("send");
  host.hangUp();
  await host.untilClosed();

  const back = await resume(device, host, lastReceived);
  expect(back.welcome).toMatchObject({
    epoch: host.welcome?.epoch,
    resumeToken: host.welcome?.resumeToken,
    keysSeq: 2,
    pairing: "paired",
    rows: [{ type: "creds", id: "creds", value: "sealed" }],
  });
  expect(await back.command("send")).toEqual(second);
  expect(back.here("command")).toEqual([]);
  expect(await back.commitFor(first)).toBe("committed");
  expect(await back.commitFor(second)).toBe("committed");
});

it("a resume after a restart of the object works, and its commands are numbered on", async () => {
  const device = await newDevice();
  const host = await pairedHost(device);
  await restart(device, "close");
  const back = await resume(device, host);
  await enqueue(device, messageTo());
  expect((await back.take("command")).seq).toBe(host.lastCommandSeq + 1);
});

it("a resume needs the token, the host and the boot", async () => {
  const device = await newDevice();
  const host = await pairedHost(device);
  const token = host.welcome?.resumeToken ?? "";
  const refused = async (boot: typeof host.boot, resumeToken: string) =>
    (await knock(device, boot, { resume: resumeToken })).status;
  expect(await refused(host.boot, "0".repeat(64))).toBe(403);
  expect(await refused({ ...host.boot, bootId: "another" }, token)).toBe(409);
  await connect(device);
  expect(await refused(host.boot, token)).toBe(409);
});

it("a newer socket of the same epoch replaces the older one", async () => {
  const device = await newDevice();
  const host = await pairedHost(device);
  const back = await resume(device, host);
  expect(await host.untilClosed()).toBe(4001);
  await enqueue(device, messageTo());
  expect(await back.command("send")).toMatchObject({ attempt: 1 });
});

it("a goodbye gives back what was in hand, and its epoch never opens again", async () => {
  const device = await newDevice();
  const host = await pairedHost(device);
  const message = messageTo();
  await enqueue(device, message);
  const command = await host.command("send");
  host.say({ t: "goodbye" });
  expect(await host.untilClosed()).toBe(4004);
  expect((await knock(device, host.boot, { resume: host.welcome?.resumeToken ?? "" })).status).toBe(
    409,
  );
  const next = await connect(device);
  await next.open();
  expect(await next.command("send")).toEqual(command);
});

it("an overtaken epoch stays over when the newer one is closed, for its ticket and for its placement", async () => {
  const device = await pairingDevice();
  const boot = newBoot();
  const first = await ticketFor(device, boot, 2001);
  expect((await knock(device, boot, first)).status).toBe(101);
  const kept = await ticketFor(device, boot, 2001);
  expect(kept.epoch).toBe(first.epoch);
  const newer = await connect(device);
  newer.say({ t: "goodbye" });
  await newer.untilClosed();
  expect((await knock(device, boot, kept)).status).toBe(403);
  const again = await ticketFor(device, boot, 2001);
  expect(again.epoch).toBeGreaterThan(newer.welcome?.epoch ?? 0);
  expect((await knock(device, boot, again)).status).toBe(101);
});

it("a host that keeps a message without a word loses its epoch after three minutes", async () => {
  const device = await newDevice();
  const host = await pairedHost(device);
  const message = messageTo();
  await enqueue(device, message);
  const command = await host.command("send");
  await passTime(device, 180_000);
  expect((await host.take("revoked")).reason).toBe("new_epoch");
  expect(await host.commitFor(command)).toBe("epoch_over");
  expect(await statusOf(device, message.id)).toMatch(/^pending: (queued|device_offline)$/);
});

it("a dismissed host loses its socket, its epoch, its resume token and its tickets", async () => {
  const device = await newDevice();
  const host = await pairedHost(device);
  const message = messageTo();
  await enqueue(device, message);
  const command = await host.command("send");
  const { ticket } = await ticketFor(device, host.boot);
  await unwrap(device.stub.dismiss(host.boot.hostId));
  expect((await host.take("revoked")).reason).toBe("new_epoch");
  expect(await host.untilClosed()).toBe(4004);
  expect((await knock(device, host.boot, { resume: host.welcome?.resumeToken ?? "" })).status).toBe(
    409,
  );
  expect((await knock(device, host.boot, { ticket })).status).toBe(403);

  const next = await connect(device);
  await next.open();
  expect(await next.command("send")).toEqual(command);
  await unwrap(device.stub.dismiss(host.boot.hostId));
  expect(await next.commitFor(command)).toBe("committed");
});

it("a host dismissed after its epoch was overtaken loses its old socket, the newer one stays", async () => {
  const device = await newDevice();
  const old = await pairedHost(device);
  const next = await connect(device);
  await unwrap(device.stub.dismiss(old.boot.hostId));
  expect(await old.untilClosed()).toBe(4004);
  await next.open();
  expect(next.closed).toBeNull();
});
