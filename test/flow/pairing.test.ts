/**
 * How a phone comes to a device and leaves it, seen from the phone: by QR and by code, told once about each scan and
 * never about a mere reconnect, unlinked on the phone, and what becomes of the texts that wait meanwhile.
 */
import { expect, test } from "vitest";
import type { Customer } from "./support/stack.ts";
import { useFlow } from "./support/flow.ts";
import { wallTime } from "./support/wall-time.ts";

const flow = useFlow();

const WAIT_MS = 2_000;

/** What the phone has been told about its device, in order. */
async function greetings(customer: Customer, phone: string): Promise<string[]> {
  const notes = await flow.whatsapp.notes(phone);
  return notes.map((note) => note.text).filter((text) => text.includes(customer.waid));
}

async function untilGreeted(customer: Customer, phone: string, times: number): Promise<void> {
  const texts = Array.from({ length: times }, () => `Device ID ${customer.waid} connected`);
  flow.keepSecret(...texts);
  await expect.poll(() => greetings(customer, phone), { timeout: 60_000 }).toEqual(texts);
}

test("a phone that scanned the QR is told so, and nobody pays for it", async () => {
  const phone = "6281234500001";
  const customer = await flow.customer(phone);
  await untilGreeted(customer, phone, 1);
  expect((await flow.device(customer)).phone).toBe(phone);
  expect(await flow.whatsapp.linked(phone)).toMatchObject([{ online: true }]);
  expect(flow.stored.available(customer.accountId)).toBe(1_000_000);
});

test("a phone pairs by the code that was asked for its number, and by no other", async () => {
  const phone = "6281234500002";
  const customer = await flow.customer(null);
  const code = await flow.pairingCode(customer, phone);
  const wrong = `${code.startsWith("A") ? "B" : "A"}${code.slice(1)}`;
  expect(await flow.whatsapp.typeCode(phone, wrong)).toBe("code_wrong");
  expect(await flow.whatsapp.linked(phone)).toEqual([]);
  expect(await flow.whatsapp.typeCode(phone, code)).toBe(null);
  await flow.untilDevice(customer, "connected");
  await untilGreeted(customer, phone, 1);
  const id = await flow.sendOne(customer, "6281310001001", "Dari telepon yang tertaut dengan kode");
  await flow.untilMessage(customer, id, "received");
});

test("a host that comes back logs in again, without a scan and without a greeting", async () => {
  const phone = "6281234500003";
  const customer = await flow.customer(phone);
  await untilGreeted(customer, phone, 1);
  const [host] = flow.stack.hosts;
  const before = await flow.whatsapp.last();
  await host?.kill();
  host?.launchAgain();
  await flow.whatsapp.event("online", phone, before);
  const id = await flow.sendOne(customer, "6281310001002", "Setelah mesin dihidupkan kembali");
  await flow.untilMessage(customer, id, "received");
  // A greeting would have gone before the text.
  await untilGreeted(customer, phone, 1);
  expect(await flow.whatsapp.events("paired", phone)).toHaveLength(1);
});

/** A text that is due in a moment, and the phone unlinked before that. */
async function waitingText(customer: Customer, phone: string, message: string): Promise<number> {
  await untilGreeted(customer, phone, 1);
  const due = wallTime(Date.now() + WAIT_MS);
  const { packets } = await flow.send(customer, {
    number: "6281310001003",
    message,
    sendingdatetime: due.written,
  });
  await flow.whatsapp.post(`/phones/${phone}/unlink`);
  await flow.untilDevice(customer, "logged_out");
  await flow.until("the books to know", async () => {
    const [row] = flow.stored.books("SELECT status FROM devices WHERE waid = ?", customer.waid);
    return row?.["status"] === "logged_out" ? true : null;
  });
  const id = packets[0]?.sendingid ?? 0;
  await flow.until("the text to be due", async () => (Date.now() > due.atMs ? true : null));
  expect(await flow.message(customer, id)).toMatchObject({ status: "pending" });
  return id;
}

test("an unlinked phone refuses texts with 90, keeps what waits, and sends it once it is back", async () => {
  const phone = "6281234500004";
  const customer = await flow.customer(phone);
  const id = await waitingText(customer, phone, "Pesan yang menunggu telepon yang sama");
  const refused = await flow.send(customer, { number: "6281310001003", message: "Ditolak dulu" });
  expect(refused.packets).toEqual([{ sendingid: 0, sendingstatus: 90, price: 0 }]);
  expect(flow.stored.available(customer.accountId)).toBe(999_800);

  await flow.pairByQr(customer, phone);
  await flow.untilMessage(customer, id, "received");
  await untilGreeted(customer, phone, 2);
  expect(await flow.whatsapp.shown("6281310001003", phone)).toMatchObject([
    { text: "Pesan yang menunggu telepon yang sama", copies: 1 },
  ]);
  await flow.untilMoney(id, "hold 200", "settle 200");
});

test("another phone does not send what was written for the first one, and the money comes back", async () => {
  const [first, second] = ["6281234500005", "6281234500006"] as const;
  const customer = await flow.customer(first);
  const id = await waitingText(customer, first, "Pesan untuk nomor yang lama");
  await flow.pairByQr(customer, second);
  expect(await flow.untilMessage(customer, id, "cancel")).toMatchObject({
    reason: "device_repaired",
  });
  await untilGreeted(customer, second, 1);
  await flow.untilMoney(id, "hold 200", "void 200");
  expect(flow.stored.available(customer.accountId)).toBe(1_000_000);
  const after = await flow.sendOne(customer, "6281310001004", "Pesan dari nomor yang baru");
  await flow.untilMessage(customer, after, "received");
  expect(await flow.whatsapp.shown("6281310001003", second)).toEqual([]);
});
