/**
 * A text that the recipient's phone could not read, and asks for again: of a host that never saw it, after everything
 * that knew it was killed. It comes under its own WhatsApp id and is read; no phone gets it again without end.
 */
import { beforeAll, expect, test } from "vitest";
import { useFlow } from "./support/flow.ts";
import type { Customer } from "./support/stack.ts";

const PHONE = "6281234560001";
const CONTACT = "6281310008001";
const GREEDY = "6281310008002";
const RETRIES_MAX = 5;

const flow = useFlow();
let customer: Customer;

beforeAll(async () => {
  customer = await flow.customer(PHONE);
});

/** The host and the Worker die; the phone comes back on a host with an empty disk. */
async function killAll(): Promise<void> {
  const before = await flow.whatsapp.last();
  await flow.stack.hosts.at(-1)?.kill();
  await flow.stack.crashWorker();
  await flow.stack.addHost();
  await flow.whatsapp.event("online", PHONE, before);
  await flow.untilDevice(customer, "connected");
}

/** The only text that this contact got, by WhatsApp's own record. */
async function waIdAt(contact: string): Promise<string> {
  const shown = await flow.whatsapp.shown(contact, PHONE);
  return shown.at(-1)?.id ?? "";
}

function refusals(): number {
  const [row] = flow.stored.device(
    customer.waid,
    "SELECT value FROM counters WHERE name = 'message_get_refused'",
  );
  return Number(row?.["value"] ?? 0);
}

test("a host that never saw a text answers for it when it could not be read", async () => {
  const first = await flow.sendOne(customer, CONTACT, "Pesan pertama yang terbaca");
  await flow.untilMessage(customer, first, "received");
  await flow.whatsapp.post(`/phones/${CONTACT}/forget-sessions`);
  flow.expectUnreadable(1);
  await flow.whatsapp.post("/acks", { to: CONTACT, mode: "hold", count: 1 });
  const text = "Pesan yang baru terbaca sesudah semuanya mati";
  const id = await flow.sendOne(customer, CONTACT, text);
  const { id: waId = "" } = await flow.whatsapp.event("decrypt_failed", CONTACT);
  await killAll();
  expect((await flow.message(customer, id)).status).toBe("pending");

  const before = await flow.whatsapp.last();
  await flow.whatsapp.post("/acks/release", { to: CONTACT });
  const arrived = await flow.whatsapp.event("message", CONTACT, before);
  expect(arrived).toMatchObject({ id: waId, text, duplicate: false });
  await flow.untilMessage(customer, id, "received");
  await flow.untilMoney(id, "hold 200", "settle 200");
  expect((await flow.whatsapp.evidence()).messagesById[waId]).toBe(2);
  const shown = await flow.whatsapp.shown(CONTACT, PHONE);
  expect(shown.filter((one) => one.text === text)).toMatchObject([{ id: waId, copies: 1 }]);
});

test("a phone that asks on and on gets a text five times more at most, whatever restarts meanwhile", async () => {
  const id = await flow.sendOne(customer, GREEDY, "Pesan yang diminta terus");
  await flow.untilMessage(customer, id, "received");
  const waId = await waIdAt(GREEDY);
  const refusedBefore = refusals();
  const ask = async (): Promise<unknown> =>
    flow.whatsapp.post(`/phones/${GREEDY}/forge-receipt`, {
      account: PHONE,
      id: waId,
      type: "retry",
      withKeys: true,
    });
  let asked = 0;
  const askAndGet = async (times: number): Promise<void> => {
    for (let more = 0; more < times; more += 1) {
      asked += 1;
      await ask();
      await flow.until(`copy ${1 + asked}`, async () =>
        (await flow.whatsapp.evidence()).messagesById[waId] === 1 + asked ? true : null,
      );
    }
  };
  // Baileys itself answers a phone twice; only the device remembers beyond the end of a host.
  await askAndGet(2);
  await killAll();
  await askAndGet(2);
  await killAll();
  await askAndGet(RETRIES_MAX - 4);
  for (let more = 1; more <= 2; more += 1) {
    await ask();
    await flow.until("a refusal", async () => (refusals() === refusedBefore + more ? true : null));
  }
  expect((await flow.whatsapp.evidence()).messagesById[waId]).toBe(1 + RETRIES_MAX);
}, 120_000);
