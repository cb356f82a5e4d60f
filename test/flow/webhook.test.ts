/**
 * The way back, on the real stack: statuses, incoming texts and device events at a customer's server, as that server
 * itself recorded them, with hosts and receivers that die in the middle.
 */
import { afterAll, beforeAll, expect, test } from "vitest";
import { z } from "zod";
import { useFlow } from "./support/flow.ts";
import { checkSignature, Receiver } from "./support/receiver.ts";
import type { Customer } from "./support/stack.ts";

const PHONE = "6281234531001";
const CONTACT = "6281310005001";

const flow = useFlow({ hosts: 1 });
const madeEndpoint = z.object({ id: z.string(), secret: z.string() });
let receiver: Receiver;
let customer: Customer;
let secret: string;

beforeAll(async () => {
  receiver = await Receiver.start();
  customer = await flow.customer(PHONE);
  ({ secret } = await endpoint(customer, { url: receiver.url("/json"), format: "json" }));
});

afterAll(() => receiver.down());

async function endpoint(owner: Customer, wish: object) {
  const body = { allow_http: true, ...wish };
  const call = { method: "POST" as const, path: "/v1/endpoints", token: owner.apiKey, body };
  const made = await flow.stack.call(call, madeEndpoint);
  if (!made.ok) throw new Error(`no endpoint: ${made.error.reason}`);
  flow.keepSecret(made.value.secret);
  return made.value;
}

/** Types told about one message or sender, in the order in which they came. */
function typesAbout(value: string, path = "/json"): string[] {
  return receiver
    .json(path)
    .filter(({ data }) => data["id"] === value || data["from"] === value)
    .map(({ type }) => type);
}

async function untilTold(what: string, holds: () => boolean, timeoutMs?: number): Promise<void> {
  await flow.until(what, async () => (holds() ? true : null), timeoutMs);
}

async function write(from: string, text: string, to = PHONE): Promise<string> {
  flow.keepSecret(text, from.slice(2));
  return flow.whatsapp.write(from, to, text);
}

test("a text's statuses arrive in order, signed, and a contact's answer arrives with its number", async () => {
  const id = String(await flow.sendOne(customer, CONTACT, "Pesanan Anda sudah kami kirim"));
  await untilTold("read to be told", () => typesAbout(id).includes("message.read"));
  expect(typesAbout(id)).toEqual(["message.sent", "message.received", "message.read"]);

  await write(CONTACT, "Terima kasih, sudah sampai di rumah");
  await untilTold("the answer to be told", () => typesAbout(CONTACT).length > 0);
  const told = receiver.json("/json").find(({ type }) => type === "message.inbound");
  expect(told?.data).toMatchObject({
    device: customer.waid,
    from: CONTACT,
    kind: "text",
    text: "Terima kasih, sudah sampai di rumah",
  });
  for (const one of receiver.at("/json")) {
    expect(one.headers["user-agent"]).toMatch(/^Kabar\//);
    checkSignature(one, secret);
  }
});

test("form endpoints get exactly the old keys of their kind", async () => {
  const shop = await flow.customer("6281234531002");
  await endpoint(shop, { url: receiver.url("/tracking"), format: "form", kind: "tracking" });
  const inbox = { url: receiver.url("/inbox"), format: "form", kind: "inbox" };
  const { secret: inboxSecret } = await endpoint(shop, inbox);
  const contact = "6281310005002";
  const id = String(await flow.sendOne(shop, contact, "Janji temu Anda besok pukul 9"));
  await write(contact, "Baik & sampai jumpa = besok", shop.phone);
  await untilTold("the forms", () => receiver.at("/tracking").length === 3);
  await untilTold("the inbox", () => receiver.at("/inbox").length === 1);
  expect(receiver.forms("/tracking")).toEqual(
    ["sent", "received", "read"].map((status) => [
      ["id", id],
      ["waid", shop.waid],
      ["number", contact],
      ["status", status],
    ]),
  );
  expect(receiver.forms("/inbox")).toEqual([
    [
      ["waid", shop.waid],
      ["message", "Baik & sampai jumpa = besok"],
      ["number", contact],
    ],
  ]);
  const [posted] = receiver.at("/inbox");
  if (posted !== undefined) checkSignature(posted, inboxSecret);
});

test("what happens while the receiver is down arrives when it is up again", async () => {
  const contact = "6281310005003";
  await receiver.down();
  const id = String(await flow.sendOne(customer, contact, "Toko tutup sementara hari ini"));
  await flow.untilMessage(customer, Number(id), "read");
  await write(contact, "Kapan buka lagi ya?");
  await receiver.up();
  await untilTold("the statuses", () => typesAbout(id).length === 3);
  await untilTold("the text", () => typesAbout(contact).length === 1);
  expect(typesAbout(id)).toEqual(["message.sent", "message.received", "message.read"]);
});
