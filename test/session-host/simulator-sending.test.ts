/** Texts from the real client arrive decrypted at every device of a contact, and the server's answers come back. */

import { afterAll, beforeAll, expect, test } from "vitest";
import { SimulatorBed } from "./support/simulator-bed.ts";
import type { SimulatorClient } from "./support/simulator-client.ts";

let bed: SimulatorBed;
let client: SimulatorClient;
let account: string;

beforeAll(async () => {
  bed = await SimulatorBed.start();
  ({ client, number: account } = await bed.linked());
});

afterAll(() => bed.close());

test("a text is decrypted at the contact's phone and shown with its id", async () => {
  const contact = bed.number();
  const id = await client.send(contact, "Selamat pagi ☀");
  await bed.event("message", contact, (event) => event["id"] === id);
  expect(await bed.shown(contact, id)).toMatchObject({
    text: "Selamat pagi ☀",
    direction: "in",
    from: account,
    copies: 1,
    duplicate: false,
  });
});

test("each of a contact's three devices decrypts the text", async () => {
  const contact = bed.number();
  await bed.post(`/phones/${contact}`, { devices: 3 });
  const id = await client.send(contact, "tiga layar");
  await bed.event("message", contact, (event) => event["device"] === 2);
  const copy = { text: "tiga layar", copies: 1 };
  expect((await bed.shown(contact, id))?.devices).toEqual({ 0: copy, 1: copy, 2: copy });
});

test("the account's own phone shows what its client sent, with ticks up to read", async () => {
  const contact = bed.number();
  const id = await client.send(contact, "salinan");
  await bed.event("receipt_sent", contact, (event) => event["type"] === "read");
  expect(await bed.shown(account, id)).toMatchObject({
    text: "salinan",
    direction: "out",
    to: contact,
    tick: "read",
  });
  expect(await bed.shown(contact, id)).toMatchObject({ tick: "read" });
});

test("a text to the account's own number shows once on its phone", async () => {
  const id = await client.send(account, "Device ID 1 connected");
  await bed.event("message", account, (event) => event["id"] === id);
  expect(await bed.shown(account, id)).toMatchObject({ text: "Device ID 1 connected", copies: 1 });
});

test("delivered and read receipts reach the client from the number", async () => {
  const contact = bed.number();
  await bed.post(`/phones/${contact}`, { behaviour: { read: "hold" } });
  const id = await client.send(contact, "dibaca");
  expect(
    (await client.until("status", (event) => event.id === id && event.status === 3)).chat,
  ).toBe(`${contact}@s.whatsapp.net`);
  await bed.post(`/phones/${contact}/receipts`, { account, type: "read" });
  await client.until("status", (event) => event.id === id && event.status === 4);
});

test("receipts can come from the contact's LID instead", async () => {
  const contact = bed.number();
  const { body } = await bed.post(`/phones/${contact}`, {
    behaviour: { receiptsFrom: "lid", read: "hold" },
  });
  const id = await client.send(contact, "lewat LID");
  const status = await client.until("status", (event) => event.id === id && event.status === 3);
  expect(status.chat).toBe(`${String(body["lid"])}@lid`);
});

test("held receipts are sent when asked for", async () => {
  const contact = bed.number();
  await bed.post(`/phones/${contact}`, { behaviour: { delivered: "hold" } });
  const id = await client.send(contact, "nanti");
  await bed.event("message", contact);
  expect(await bed.shown(contact, id)).toMatchObject({ tick: "sent" });
  expect((await bed.post(`/phones/${contact}/receipts`, { account, type: "read" })).body).toEqual({
    sent: [id],
  });
  await client.until("status", (event) => event.id === id && event.status === 4);
});

test("numbers ending in 0000 are not on WhatsApp, others are, and a control call changes that", async () => {
  const contact = bed.number();
  const gone = bed.number();
  await bed.post(`/phones/${gone}`, { registered: false });
  expect(await client.socket.onWhatsApp(contact, "6281234560000", gone)).toEqual([
    { jid: `${contact}@s.whatsapp.net`, exists: true },
  ]);
});

test.each([463, 479])(
  "an error acknowledgement %i reaches the client and the text reaches nobody",
  async (code) => {
    const contact = bed.number();
    await bed.post("/acks", { account, to: contact, mode: "error", code, count: 1 });
    const id = await client.send(contact, "ditolak");
    const status = await client.until("status", (event) => event.id === id);
    expect(status).toMatchObject({ status: 0, code: String(code) });
    expect(await bed.shown(contact, id)).toBeUndefined();
    const next = await client.send(contact, "diterima");
    await bed.event("message", contact, (event) => event["id"] === next);
  },
);

test("a held acknowledgement keeps back the receipts too, until it is released", async () => {
  const contact = bed.number();
  await bed.post("/acks", { account, to: contact, mode: "hold" });
  const acked = client.socket.waitForMessage("3EB0AAAAAAAAAAAAAAAAAA", 8_000);
  const id = await client.send(contact, "ditahan", "3EB0AAAAAAAAAAAAAAAAAA");
  await bed.event("message", contact, (event) => event["id"] === id);
  expect(client.events.filter((event) => event.kind === "status" && event.id === id)).toEqual([]);
  expect((await bed.post("/acks/release", { account })).body).toEqual({ released: 1 });
  expect(await acked).toMatchObject({ tag: "ack", attrs: { class: "message" } });
  await client.until("status", (event) => event.id === id && event.status === 4);
  await bed.post("/acks", { account, mode: "normal" });
});

test("after a lost acknowledgement a second copy of the id shows once and is counted", async () => {
  const contact = bed.number();
  await bed.post(`/phones/${contact}`, { behaviour: { delivered: "hold" } });
  await bed.post("/acks", { account, to: contact, mode: "lost", count: 1 });
  const id = await client.send(contact, "sekali saja");
  await bed.event("ack_lost", account, (event) => event["id"] === id);
  await client.send(contact, "sekali saja", id);
  await bed.event("message", contact, (event) => event["duplicate"] === true);
  expect(await bed.shown(contact, id)).toMatchObject({
    text: "sekali saja",
    copies: 2,
    duplicate: true,
  });
  expect((await bed.evidence()).messagesById[id]).toBe(2);
});

test("a swallowed text is neither acknowledged nor delivered", async () => {
  const contact = bed.number();
  await bed.post("/acks", { account, to: contact, mode: "swallow", count: 1 });
  const id = await client.send(contact, "hilang");
  await bed.event("swallowed", account, (event) => event["id"] === id);
  expect(await bed.shown(contact, id)).toBeUndefined();
});

test("two accounts' clients write to each other through the server", async () => {
  const other = await bed.linked();
  const id = await client.send(other.number, "halo tetangga");
  expect(await other.client.until("text", (event) => event.id === id)).toMatchObject({
    text: "halo tetangga",
    own: false,
  });
  await client.until("status", (event) => event.id === id && event.status >= 3);
  expect(await bed.shown(other.number, id)).toMatchObject({ text: "halo tetangga", copies: 1 });
});

test("a lost session at the contact leads to a retry and the text arrives under the same id", async () => {
  const contact = bed.number();
  await client.send(contact, "pertama");
  await bed.event("message", contact);
  await bed.post(`/phones/${contact}/forget-sessions`);
  const id = await client.send(contact, "kedua");
  await bed.event("decrypt_failed", contact, (event) => event["id"] === id);
  await bed.event("retry_sent", contact, (event) => event["id"] === id);
  await bed.event("message", contact, (event) => event["id"] === id);
  expect(await bed.shown(contact, id)).toMatchObject({ text: "kedua", copies: 1 });
});

test("a forged retry receipt fetches the text for another contact from a client that does not check", async () => {
  const contact = bed.number();
  const thief = bed.number();
  await client.socket.onWhatsApp(thief);
  const id = await client.send(contact, "kode OTP 123456");
  await bed.event("message", contact, (event) => event["id"] === id);
  await bed.post(`/phones/${thief}/forge-receipt`, { account, id, type: "retry", withKeys: true });
  await bed.event("message", thief, (event) => event["id"] === id);
  expect(await bed.shown(thief, id)).toMatchObject({ text: "kode OTP 123456" });
});

test("a client that goes back to older keys is caught using a message key twice", async () => {
  const contact = bed.number();
  await bed.post(`/phones/${contact}`, { devices: 2 });
  await client.send(contact, "satu");
  await bed.event("message", contact, (event) => event["device"] === 1);
  const before = (await bed.evidence()).keyReuses;
  const backup = bed.own(client.clone());
  const second = await client.send(contact, "dua");
  await bed.event("message", contact, (event) => event["id"] === second && event["device"] === 1);
  await client.end();
  backup.connect();
  await backup.until("open");
  await backup.send(contact, "tiga");
  await bed.event("decrypt_failed", contact, (event) => event["keySeenBefore"] === true);
  const { keyReuses, keyUsedAlready } = await bed.evidence();
  expect(keyReuses).toBeGreaterThan(before);
  expect(keyUsedAlready).toBeGreaterThan(0);
});
