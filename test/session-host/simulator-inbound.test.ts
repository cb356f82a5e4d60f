/** Texts from contacts reach the real client, stay pending until it acknowledges them, and survive what goes wrong. */

import { afterAll, beforeAll, expect, test } from "vitest";
import { SimulatorBed } from "./support/simulator-bed.ts";

let bed: SimulatorBed;

beforeAll(async () => {
  bed = await SimulatorBed.start();
});

afterAll(() => bed.close());

const backlogOf = async (number: string): Promise<unknown[]> => {
  const { linked } = await bed.get<{ linked: { backlog: unknown[] }[] }>(`/phones/${number}`);
  return linked[0]?.backlog ?? [];
};

test("a contact's text comes from its LID with its number beside it, and is acknowledged once", async () => {
  const { client, number } = await bed.linked();
  const contact = bed.number();
  const { body } = await bed.post(`/phones/${contact}/send`, { to: number, text: "mau pesan" });
  const text = await client.until("text");
  expect(text).toMatchObject({
    id: body["id"],
    text: "mau pesan",
    alt: `${contact}@s.whatsapp.net`,
    own: false,
    delivery: "notify",
  });
  expect(text.chat).toMatch(/^\d+@lid$/);
  await bed.event("inbound_acked", number, (event) => event["id"] === body["id"]);
  const { inbound } = await bed.evidence();
  expect(inbound[text.id]).toEqual([
    { device: `${number}:1@s.whatsapp.net`, sent: 1, receipts: ["inactive"], acks: [], retries: 0 },
  ]);
  expect(await backlogOf(number)).toEqual([]);
});

test("a contact's text can come from its number with the LID beside it", async () => {
  const { client, number } = await bed.linked();
  const contact = bed.number();
  await bed.post(`/phones/${contact}`, { behaviour: { textsFrom: "pn" } });
  await bed.post(`/phones/${contact}/send`, { to: number, text: "dari nomor" });
  const text = await client.until("text");
  expect(text.chat).toBe(`${contact}@s.whatsapp.net`);
  expect(text.alt).toMatch(/^\d+@lid$/);
});

test("an automatic reply answers a text once, over the session the client opened", async () => {
  const { client, number } = await bed.linked();
  const contact = bed.number();
  await bed.post(`/phones/${contact}`, { behaviour: { autoReply: "STOP", autoReplyDelayMs: 0 } });
  await client.send(contact, "promo");
  expect(await client.until("text")).toMatchObject({
    text: "STOP",
    alt: `${contact}@s.whatsapp.net`,
  });
  const id = await client.send(contact, "baik");
  await bed.event("message", contact, (event) => event["id"] === id);
  expect(await bed.shown(number, id)).toMatchObject({ text: "baik" });
});

test("a text written on the account's own phone reaches its client as its own", async () => {
  const { client, number } = await bed.linked();
  const contact = bed.number();
  const { body } = await bed.post(`/phones/${number}/send`, { to: contact, text: "dari HP" });
  expect(await client.until("text")).toMatchObject({ id: body["id"], text: "dari HP", own: true });
  expect(await bed.shown(contact, String(body["id"]))).toMatchObject({
    text: "dari HP",
    direction: "in",
  });
});

test("a text that arrives while the client is away is announced and delivered at its next login", async () => {
  const { client, number } = await bed.linked();
  const contact = bed.number();
  await client.end();
  await bed.event("disconnected", number);
  const { body } = await bed.post(`/phones/${contact}/send`, {
    to: number,
    text: "sedang offline?",
  });
  expect(await backlogOf(number)).toEqual([
    expect.objectContaining({ tag: "message", id: body["id"] }),
  ]);
  client.forget();
  client.connect();
  expect(await client.until("text")).toMatchObject({
    id: body["id"],
    text: "sedang offline?",
    delivery: "append",
  });
  await bed.event("inbound_acked", number, (event) => event["id"] === body["id"]);
  expect(await backlogOf(number)).toEqual([]);
});

test("a text whose receipt never left the client is sent again after the socket dropped", async () => {
  const { client, number } = await bed.linked();
  const contact = bed.number();
  const crashed = bed.own(client.clone());
  await bed.post("/faults", { kind: "stop_reading", account: number });
  const { body } = await bed.post(`/phones/${contact}/send`, { to: number, text: "jangan hilang" });
  await client.until("text");
  expect(await backlogOf(number)).toHaveLength(1);
  await bed.post("/faults", { kind: "drop", account: number });
  expect((await client.until("closed", ({ code }) => code !== 515)).code).toBe(428);
  crashed.connect();
  expect(await crashed.until("text")).toMatchObject({
    id: body["id"],
    text: "jangan hilang",
    delivery: "append",
  });
  await bed.event("inbound_acked", number, (event) => event["id"] === body["id"]);
  const { inbound } = await bed.evidence();
  expect(inbound[String(body["id"])]).toMatchObject([{ sent: 2, receipts: ["inactive"] }]);
});

test("a text that does not open is asked for again and comes under the same id", async () => {
  const { client, number } = await bed.linked();
  const contact = bed.number();
  await bed.post(`/phones/${contact}/damage-next`, { count: 1 });
  const { body } = await bed.post(`/phones/${contact}/send`, { to: number, text: "utuh lagi" });
  await bed.event("retry_received", contact, (event) => event["id"] === body["id"]);
  expect(await client.until("text")).toMatchObject({ id: body["id"], text: "utuh lagi" });
  await bed.event("inbound_acked", number, (event) => event["id"] === body["id"]);
  expect(await backlogOf(number)).toEqual([]);
});

test("a text damaged twice brings the client's own keys with the second request", async () => {
  const { client, number } = await bed.linked();
  const contact = bed.number();
  await bed.post(`/phones/${contact}/damage-next`, { count: 2 });
  const { body } = await bed.post(`/phones/${contact}/send`, { to: number, text: "ketiga kali" });
  await bed.event(
    "retry_received",
    contact,
    (event) => event["id"] === body["id"] && event["count"] === 2,
  );
  expect(await client.until("text")).toMatchObject({ id: body["id"], text: "ketiga kali" });
});

test("a reading client's read receipt shows on the contact's screen", async () => {
  const { client, number } = await bed.linked();
  const contact = bed.number();
  await bed.post(`/phones/${contact}/send`, { to: number, text: "sudah baca?" });
  const { id, chat } = await client.until("text");
  await client.socket.readMessages([{ id, remoteJid: chat, fromMe: false }]);
  await bed.event("receipt_received", contact, (event) => event["type"] === "read");
  expect(await bed.shown(contact, id)).toMatchObject({ tick: "read" });
});

test("a client whose stock runs low is told and uploads more keys", async () => {
  const { number } = await bed.linked();
  await bed.post(`/phones/${number}/prekeys`, { keep: 5 });
  const after = bed.seq;
  await bed.post(`/phones/${bed.number()}/send`, { to: number, text: "kunci terakhir" });
  expect(await bed.event("prekeys_uploaded", number, undefined, after)).toMatchObject({ count: 5 });
});

test("typing is seen by the contact", async () => {
  const { client, number } = await bed.linked();
  const contact = bed.number();
  await client.socket.sendPresenceUpdate("composing", `${contact}@s.whatsapp.net`);
  expect(await bed.event("typing", contact)).toMatchObject({ from: number, state: "composing" });
});
