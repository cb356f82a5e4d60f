/**
 * Processes that are killed in the middle of work: a host whose place is taken by one that has never seen the phone,
 * and the Worker itself. Every text the client was told is accepted is on its phone once, and the books are exact.
 */
import { beforeAll, expect, test } from "vitest";
import { useFlow } from "./support/flow.ts";
import { Saboteurs } from "./support/saboteur.ts";
import type { Customer } from "./support/stack.ts";

const PHONE = "6281234550001";
const COUNT = 10;
const RETRY_AFTER_MS = 61_000;
const TRIES_MAX = 20;

const flow = useFlow({ entry: "test/flow/support/sabotage-worker.ts" });
const contacts = Array.from({ length: COUNT }, (_, n) => `62813100060${10 + n}`);
let customer: Customer;

beforeAll(async () => {
  customer = await flow.customer(PHONE);
});

/** As an old client does: asks again for the same text until there is an answer. */
async function sendStubbornly(number: string, message: string): Promise<number> {
  for (let tries = 1; ; tries += 1) {
    try {
      const { packets } = await flow.send(customer, { number, message });
      const [packet] = packets;
      if (packet?.sendingstatus === 10) return packet.sendingid;
    } catch (error) {
      if (tries >= TRIES_MAX) throw error;
    }
    await flow.until("the Worker to answer", async () =>
      (await flow.stack.product.hosts()).ok ? true : null,
    );
  }
}

/** Texts to every contact, with a killing among them once the first has arrived. */
async function sendAround(text: string, kill: () => Promise<void>): Promise<number[]> {
  const before = await flow.whatsapp.last();
  const sending = Promise.all(contacts.map((contact) => sendStubbornly(contact, text)));
  await flow.whatsapp.event("message", contacts[0] ?? "", before);
  const [ids] = await Promise.all([sending, kill()]);
  return ids;
}

/** What had a key commit and no bytes goes after its minute. */
async function untilAllArrived(ids: readonly number[]): Promise<void> {
  await new Saboteurs(flow.stack).moveTime(RETRY_AFTER_MS);
  for (const id of ids) await flow.untilMessage(customer, id, "received");
}

async function expectOnceEach(text: string): Promise<void> {
  for (const contact of contacts) {
    const shown = await flow.whatsapp.shown(contact, PHONE);
    expect(shown.filter((one) => one.text === text)).toHaveLength(1);
  }
}

test("the Worker killed under load comes back and has lost nothing it had accepted", async () => {
  const before = flow.stored.available(customer.accountId);
  const text = "Pesan ketika pusatnya mati";
  const ids = await sendAround(text, () => flow.stack.crashWorker());
  expect(new Set(ids).size).toBe(COUNT);
  await flow.untilDevice(customer, "connected");
  await flow.until("the host to be back", async () => {
    const answer = await flow.stack.product.hosts();
    return answer.ok && answer.value.hosts.every((host) => host.connected) ? true : null;
  });
  await flow.stack.product.runCron();
  await untilAllArrived(ids);
  await expectOnceEach(text);
  for (const id of ids) await flow.untilMoney(id, "hold 200", "settle 200");
  expect(flow.stored.available(customer.accountId)).toBe(before - COUNT * 200);
});

test("a host that has never seen the phone takes over from a killed one, without a new pairing", async () => {
  const before = flow.stored.available(customer.accountId);
  const text = "Pesan ketika mesinnya mati";
  const start = await flow.whatsapp.last();
  const ids = await sendAround(text, async () => {
    await flow.stack.hosts[0]?.kill();
    await flow.stack.addHost();
  });
  await flow.whatsapp.event("online", PHONE, start);
  await flow.untilDevice(customer, "connected");
  await untilAllArrived(ids);
  await expectOnceEach(text);
  for (const id of ids) await flow.untilMoney(id, "hold 200", "settle 200");
  expect(flow.stored.available(customer.accountId)).toBe(before - COUNT * 200);
  expect(await flow.whatsapp.events("paired", PHONE)).toHaveLength(1);
  expect(await flow.whatsapp.linked(PHONE)).toHaveLength(1);
});
