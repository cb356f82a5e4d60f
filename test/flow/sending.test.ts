/**
 * What becomes of texts on the way that ought to be taken: one and five in a request, at once and at a given time,
 * to a number without WhatsApp, refused by WhatsApp; and what a stranger's forged receipts do not change. Texts are
 * judged by the contacts' phones, money by SQL over the transfers.
 */
import { beforeAll, expect, test } from "vitest";
import type { Customer } from "./support/stack.ts";
import { useFlow } from "./support/flow.ts";
import { wallTime } from "./support/wall-time.ts";

const PHONE = "6281234510001";
const LADDER = ["pending", "sent", "received", "read"];

const flow = useFlow();
let customer: Customer;

beforeAll(async () => {
  await flow.whatsapp.post("/behaviour", { readDelayMs: 50 });
  customer = await flow.customer(PHONE);
});

function statuses(history: readonly { status: string }[]): string[] {
  return history.map(({ status }) => status).filter((status, at, all) => status !== all[at - 1]);
}

async function idOnScreen(contact: string, text: string): Promise<string> {
  const shown = await flow.whatsapp.shown(contact, PHONE);
  return shown.find((one) => one.text === text)?.id ?? "";
}

test("one text goes from pending to read, arrives once, and costs its price", async () => {
  const contact = "6281310002001";
  const before = flow.stored.available(customer.accountId);
  const { packets } = await flow.send(customer, { number: contact, message: "Satu pesan saja" });
  const [packet] = packets;
  expect(packet).toMatchObject({ sendingstatus: 10, price: 200 });
  const id = packet?.sendingid ?? 0;
  const { history, price } = await flow.untilMessage(customer, id, "read");
  expect(statuses(history)).toEqual(LADDER);
  expect(price).toBe(200);
  expect(await flow.whatsapp.shown(contact, PHONE)).toMatchObject([
    { text: "Satu pesan saja", copies: 1, tick: "read" },
  ]);
  await flow.untilMoney(id, "hold 200", "settle 200");
  expect(flow.stored.available(customer.accountId)).toBe(before - 200);
});

test("five texts of one request arrive once each, on each of a contact's devices", async () => {
  const before = flow.stored.available(customer.accountId);
  const wanted = [1, 2, 3, 4, 5].map((n) => ({
    number: `628131000210${n}`,
    message: `Pesan nomor ${n} dari lima sekaligus`,
  }));
  await flow.whatsapp.post(`/phones/${wanted[4]?.number}`, { devices: 3 });
  const { packets } = await flow.send(customer, ...wanted);
  expect(packets.map((packet) => packet.sendingstatus)).toEqual([10, 10, 10, 10, 10]);
  expect(new Set(packets.map((packet) => packet.sendingid)).size).toBe(5);
  for (const [at, packet] of packets.entries()) {
    const { history } = await flow.untilMessage(customer, packet.sendingid, "read");
    expect(statuses(history)).toEqual(LADDER);
    await flow.untilMoney(packet.sendingid, "hold 200", "settle 200");
    const { number = "", message: text } = wanted[at] ?? {};
    const shown = await flow.whatsapp.shown(number, PHONE);
    expect(shown).toMatchObject([{ text, copies: 1 }]);
    expect(Object.values(shown[0]?.devices ?? {})).toEqual(
      Array.from({ length: at === 4 ? 3 : 1 }, () => ({ text, copies: 1 })),
    );
  }
  expect(flow.stored.available(customer.accountId)).toBe(before - 1_000);
});

test("a text for a later time leaves at that time and not before", async () => {
  const contact = "6281310002002";
  const due = wallTime(Date.now() + 1_000);
  const { packets } = await flow.send(customer, {
    number: contact,
    message: "Pesan untuk nanti",
    sendingdatetime: due.written,
  });
  const id = packets[0]?.sendingid ?? 0;
  expect(await flow.message(customer, id)).toMatchObject({
    status: "pending",
    reason: "scheduled",
  });
  await flow.untilMessage(customer, id, "read");
  const [shown] = await flow.whatsapp.shown(contact, PHONE);
  expect(shown).toMatchObject({ text: "Pesan untuk nanti", copies: 1 });
  expect(shown?.atMs).toBeGreaterThanOrEqual(due.atMs);
  expect(shown?.atMs).toBeLessThan(due.atMs + 10_000);
  await flow.untilMoney(id, "hold 200", "settle 200");
});

test("a number that is not on WhatsApp is rejected, nothing leaves, and the money comes back", async () => {
  const before = flow.stored.available(customer.accountId);
  const { ciphertexts } = await flow.whatsapp.evidence();
  const id = await flow.sendOne(customer, "6281310000000", "Nomor ini tidak terdaftar");
  expect(await flow.untilMessage(customer, id, "reject")).toMatchObject({
    reason: "not_on_whatsapp",
  });
  await flow.untilMoney(id, "hold 200", "void 200");
  expect(flow.stored.available(customer.accountId)).toBe(before);
  expect((await flow.whatsapp.evidence()).ciphertexts).toBe(ciphertexts);
});

for (const { code, reason } of [
  { code: 463, reason: "account_restricted" },
  { code: 479, reason: "refused_by_whatsapp" },
]) {
  test(`a text that WhatsApp answers with ${code} is rejected and the money comes back`, async () => {
    const contact = `628131000${code}1`;
    const before = flow.stored.available(customer.accountId);
    await flow.whatsapp.post("/acks", { to: contact, mode: "error", code, count: 1 });
    const id = await flow.sendOne(customer, contact, `Ditolak WhatsApp dengan ${code}`);
    expect(await flow.untilMessage(customer, id, "reject")).toMatchObject({ reason });
    await flow.untilMoney(id, "hold 200", "void 200");
    expect(flow.stored.available(customer.accountId)).toBe(before);
    expect(await flow.whatsapp.shown(contact, PHONE)).toEqual([]);
  });
}

test("receipts that a stranger forges change nothing and send nothing; the reader's own count", async () => {
  const [contact, stranger] = ["6281310002003", "6281310002004"] as const;
  await flow.whatsapp.post(`/phones/${contact}`, { behaviour: { delivered: "hold" } });
  const id = await flow.sendOne(customer, contact, "Rahasia untuk satu orang");
  await flow.untilMessage(customer, id, "sent");
  const waId = await idOnScreen(contact, "Rahasia untuk satu orang");
  const before = await flow.whatsapp.evidence();

  const forge = `/phones/${stranger}/forge-receipt`;
  for (const receiptsFrom of ["pn", "lid"]) {
    await flow.whatsapp.post(`/phones/${stranger}`, { behaviour: { receiptsFrom } });
    for (const type of ["delivered", "read", "retry"]) {
      await flow.whatsapp.post(forge, { account: PHONE, id: waId, type, withKeys: true });
    }
  }
  await flow.until("the device to have heard them all", async () => {
    const counted = flow.stored.device(customer.waid, "SELECT name, value FROM counters");
    const counts = new Map(counted.map((row) => [row["name"], Number(row["value"])]));
    const heard = [counts.get("receipt_unmatched"), counts.get("message_get_refused")];
    return heard.join() === "4,2" ? true : null;
  });
  const after = await flow.whatsapp.evidence();
  expect(after.messagesById[waId]).toBe(1);
  expect(after.ciphertexts).toBe(before.ciphertexts);
  expect(await flow.whatsapp.shown(stranger, PHONE)).toEqual([]);
  expect((await flow.message(customer, id)).status).toBe("sent");

  const own = { account: PHONE, id: waId };
  await flow.whatsapp.post(`/phones/${contact}/receipts`, { ...own, type: "delivered" });
  const { history } = await flow.untilMessage(customer, id, "received");
  expect(statuses(history)).toEqual(["pending", "sent", "received"]);
});

test("a reader who lost the keys gets the same text again, under the same id", async () => {
  const contact = "6281310002005";
  const first = await flow.sendOne(customer, contact, "Pesan pertama yang terbaca");
  await flow.untilMessage(customer, first, "read");
  const waId = await idOnScreen(contact, "Pesan pertama yang terbaca");
  const retry = { account: PHONE, id: waId, type: "retry", withKeys: true };
  await flow.whatsapp.post(`/phones/${contact}/forge-receipt`, retry);
  await flow.until("a second copy", async () => {
    const [shown] = await flow.whatsapp.shown(contact, PHONE);
    return shown?.copies === 2 ? shown : null;
  });
  expect(await flow.whatsapp.shown(contact, PHONE)).toHaveLength(1);
  expect(flow.stored.money(first)).toEqual(["hold 200", "settle 200"]);
});
