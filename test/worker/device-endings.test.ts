/** How messages end: by proof, by refusal, by time. Money is read from the books, never from the device. */
import { env } from "cloudflare:test";
import { afterEach, expect, it, vi } from "vitest";
import { OWN_PHONE, type ScriptedHost, type SendCommand } from "./device-host.ts";
import {
  ACCOUNT_ID,
  connect,
  CONTACT,
  counter,
  enqueue,
  holdInBooks,
  messageTo,
  newDevice,
  OWN_LID,
  pairedHost,
  passTime,
  resume,
  statusOf,
  type TestDevice,
  transfersOf,
  unwrap,
  untilBooked,
} from "./device-support.ts";

afterEach(() => vi.useRealTimers());

const HOUR_MS = 3_600_000;
const LID = "424242@lid";

interface Sent {
  device: TestDevice;
  host: ScriptedHost;
  id: number;
  command: SendCommand;
}

/** A message with a hold in the books, in the host's hands. */
async function inHand(): Promise<Sent> {
  const device = await newDevice();
  const host = await pairedHost(device);
  const message = messageTo();
  await holdInBooks(device, message);
  await enqueue(device, message);
  return { device, host, id: message.id, command: await host.command("send") };
}

async function committed(): Promise<Sent> {
  const sent = await inHand();
  await sent.host.commitFor(sent.command);
  return sent;
}

async function reconnectAndDrain(device: TestDevice): Promise<ScriptedHost> {
  const host = await connect(device);
  await host.open();
  await host.fact({ kind: "drained" });
  return host;
}

it("an acknowledgement settles the hold", async () => {
  const { device, host, id, command } = await committed();
  await host.ack(command);
  expect(await statusOf(device, id)).toBe("sent");
  await untilBooked(id, ["hold", "settle"]);
  const index = await env.DB.prepare("SELECT status, reason, body FROM messages WHERE id = ?")
    .bind(id)
    .first();
  expect(index).toEqual({ status: "sent", reason: null, body: null });
});

it.each(["sender", "delivered", "read"] as const)(
  "a lost acknowledgement is made up for by a %s receipt",
  async (receipt) => {
    const { device, host, id, command } = await committed();
    await host.receipt(
      command,
      receipt,
      receipt === "sender" ? `${OWN_PHONE}@s.whatsapp.net` : undefined,
    );
    expect(await statusOf(device, id)).toBe(
      { sender: "sent", delivered: "received", read: "read" }[receipt],
    );
    await untilBooked(id, ["hold", "settle"]);
  },
);

it("a refused first attempt is rejected and the hold given back", async () => {
  const { device, host, id, command } = await committed();
  await host.ack(command, 463);
  expect(await statusOf(device, id)).toBe("reject: account_restricted");
  await untilBooked(id, ["hold", "void"]);
  await host.receipt(command);
  expect(await statusOf(device, id)).toBe("reject: account_restricted");
  expect(await counter(device, "late_proof")).toBe(1);
});

it("a refusal that comes late refunds what was charged", async () => {
  const { device, host, id, command } = await committed();
  await host.ack(command);
  await untilBooked(id, ["hold", "settle"]);
  await host.ack(command, 479);
  expect(await statusOf(device, id)).toBe("reject: refused_by_whatsapp");
  await untilBooked(id, ["hold", "settle", "refund"]);
});

it("a refusal after delivery changes nothing", async () => {
  const { device, host, id, command } = await committed();
  await host.receipt(command);
  await host.ack(command, 463);
  expect(await statusOf(device, id)).toBe("received");
  expect(await counter(device, "late_error")).toBe(1);
  expect(await transfersOf(id)).toEqual(["hold", "settle"]);
});

it("an unregistered number is rejected and the hold given back", async () => {
  const { device, host, id } = await inHand();
  await host.fact({
    kind: "send_result",
    messageId: id,
    attempt: 1,
    outcome: { kind: "not_registered" },
  });
  expect(await statusOf(device, id)).toBe("reject: not_on_whatsapp");
  await untilBooked(id, ["hold", "void"]);
});

it("what was not sent goes again later, under the same WhatsApp id, and an echo of that fact takes nothing back", async () => {
  const { device, host, id, command } = await inHand();
  const fact = {
    kind: "send_result",
    messageId: id,
    attempt: 1,
    outcome: { kind: "not_sent", reason: "busy" },
  } as const;
  await host.fact(fact);
  const n = host.factN;
  expect(await statusOf(device, id)).toBe("pending: queued");
  await passTime(device, 5_000);
  expect(await host.command("send")).toEqual(command);
  await host.fact(fact, n);
  expect(await statusOf(device, id)).toBe("pending: handed_over");
});

it("the next session of an epoch numbers its facts after a take-back, so that its own is a later one", async () => {
  const { device, host, id } = await inHand();
  const busy = { kind: "not_sent", reason: "busy" } as const;
  // Receipts are not stored with their number.
  host.continueFactsFrom(900);
  await host.fact({ kind: "send_result", messageId: id, attempt: 1, outcome: busy });
  const again = await resume(device, host);
  // A new session knows of the epoch's facts what the welcome says.
  again.continueFactsFrom(again.welcome?.factN ?? 0);
  await passTime(device, 5_000);
  await again.command("send");
  await again.fact({ kind: "send_result", messageId: id, attempt: 1, outcome: busy });
  expect(await statusOf(device, id)).toBe("pending: queued");
});

it("what waits too long expires", async () => {
  const device = await newDevice();
  const message = messageTo(CONTACT, { expiresMs: Date.now() + HOUR_MS });
  await holdInBooks(device, message);
  await enqueue(device, message);
  await passTime(device, HOUR_MS - 60_000);
  expect(await statusOf(device, message.id)).toBe("pending: device_offline");
  await passTime(device, 60_000);
  expect(await statusOf(device, message.id)).toBe("cancel: expired");
  await untilBooked(message.id, ["hold", "void"]);
});

it("a silent first attempt is followed by one more under the same id, after a reconnect and the drained backlog", async () => {
  const { device, host, id, command } = await committed();
  await passTime(device, 61_000);
  expect(host.here("command")).toEqual([]);
  const next = await reconnectAndDrain(device);
  expect(await next.command("send")).toEqual({ ...command, attempt: 2 });
  expect(await next.commitFor({ ...command, attempt: 2 })).toBe("committed");
  await next.ack(command, 463);
  expect(await statusOf(device, id)).toBe("pending: handed_over");
  await passTime(device, 61_000);
  const last = await reconnectAndDrain(device);
  expect(last.here("command")).toEqual([]);
  await last.receipt(command);
  expect(await statusOf(device, id)).toBe("received");
  await untilBooked(id, ["hold", "settle"]);
});

it("a message without any proof is rejected after a day, once a backlog was drained", async () => {
  const { device, id } = await committed();
  await passTime(device, 23 * HOUR_MS);
  await reconnectAndDrain(device);
  await passTime(device, HOUR_MS + 1_000);
  expect(await statusOf(device, id)).toBe("pending: waiting_for_acknowledgement");
  await passTime(device, 24 * HOUR_MS);
  expect(await statusOf(device, id)).toBe("reject: no_acknowledgement");
  await untilBooked(id, ["hold", "void"]);
});

it("a forged receipt from another contact changes nothing and is counted", async () => {
  const { device, host, id, command } = await committed();
  await host.receipt(command, "read", "6289999999999@s.whatsapp.net");
  await host.receipt(command, "delivered", LID);
  await host.receipt(command, "read", `${OWN_PHONE}@s.whatsapp.net`);
  expect(await statusOf(device, id)).toBe("pending: handed_over");
  expect(await counter(device, "receipt_unmatched")).toBe(3);
  await host.ack({ ...command, to: "6289999999999" });
  expect(await counter(device, "ack_foreign")).toBe(1);
  expect(await transfersOf(id)).toEqual(["hold"]);
});

it("a receipt under the LID counts where the mapping is known, to the host or from a text", async () => {
  const { device, host, id, command } = await committed();
  const phone = `${CONTACT}@s.whatsapp.net`;
  await host.fact({
    kind: "receipt",
    receipt: "delivered",
    waIds: [command.waId],
    chat: LID,
    chatPhone: phone,
    atMs: 1,
  });
  expect(await statusOf(device, id)).toBe("received");
  const text = {
    waId: "IN",
    chat: LID,
    chatAlt: phone,
    fromMe: false,
    pushName: null,
    sentAtMs: 1,
    kind: "text",
    text: "hi",
    offline: false,
  };
  await host.commit({ inbound: [text] });
  await host.receipt(command, "read", LID);
  expect(await statusOf(device, id)).toBe("read");
});

it("a text is handed out again to its recipient and our own phone only, five times at most", async () => {
  const { host, command } = await committed();
  let asked = 0;
  const ask = async (chat: string, waId = command.waId) => {
    asked += 1;
    host.say({ t: "message_get", id: asked, waId, chat, chatPhone: null });
    return (await host.take("message")).text;
  };
  expect(await ask("6289999999999@s.whatsapp.net")).toBeNull();
  expect(await ask(LID)).toBeNull();
  expect(await ask(`${CONTACT}@s.whatsapp.net`, "3EB0UNKNOWN")).toBeNull();
  expect(await ask(`${CONTACT}@s.whatsapp.net`)).toBe(command.text);
  expect(await ask(OWN_LID)).toBe(command.text);
  expect(await ask(`${OWN_PHONE}:12@s.whatsapp.net`)).toBe(command.text);
  expect(await ask(`${CONTACT}@s.whatsapp.net`)).toBe(command.text);
  expect(await ask(`${CONTACT}@s.whatsapp.net`)).toBe(command.text);
  expect(await ask(`${CONTACT}@s.whatsapp.net`)).toBeNull();
});

it("the greeting and its receipts move no money", async () => {
  const device = await newDevice();
  const host = await pairedHost(device);
  const message = messageTo();
  await holdInBooks(device, message);
  await host.open();
  expect(host.here("command")).toEqual([]);
  const account = await env.DB.prepare("SELECT held FROM accounts WHERE id = ?")
    .bind(ACCOUNT_ID)
    .first<{ held: number }>();
  await enqueue(device, message);
  const command = await host.command("send");
  await host.commitFor(command);
  await host.ack(command);
  await untilBooked(message.id, ["hold", "settle"]);
  const after = await env.DB.prepare("SELECT held FROM accounts WHERE id = ?")
    .bind(ACCOUNT_ID)
    .first<{ held: number }>();
  expect((account?.held ?? 0) - (after?.held ?? 0)).toBe(message.priceRupiah);
  expect(await unwrap(device.stub.view(device.identity))).toMatchObject({ status: "connected" });
});

it("a second attempt that was not sent goes again after a pause, without another reconnect", async () => {
  const { device, host, id, command } = await committed();
  await passTime(device, 61_000);
  await host.fact({ kind: "drained" });
  expect(await host.command("send")).toMatchObject({ attempt: 2 });
  await host.fact({
    kind: "send_result",
    messageId: id,
    attempt: 2,
    outcome: { kind: "not_sent", reason: "busy" },
  });
  expect(host.here("command")).toEqual([]);
  await passTime(device, 5_000);
  const second = await host.command("send");
  expect(second).toEqual({ ...command, attempt: 2 });
  await host.commitFor(second);
  await host.ack(second);
  expect(await statusOf(device, id)).toBe("sent");
});
