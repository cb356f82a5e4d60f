/**
 * D1 fails for minutes (of moved time), then says nothing for longer than anybody waits, while texts go out: phones get
 * what the devices hold, sends are refused without charge, and afterwards the books are exact. Witnesses: the phones and
 * SQL over `transfers`.
 */
import { beforeAll, expect, test } from "vitest";
import { useFlow } from "./support/flow.ts";
import { Saboteurs } from "./support/saboteur.ts";
import type { Customer } from "./support/stack.ts";
import { wallTime } from "./support/wall-time.ts";

const PHONE = "6281234590001";
const MINUTE_MS = 60_000;
const SCHEDULED = 5;

const flow = useFlow({ entry: "test/flow/support/sabotage-worker.ts" });
const texts = { accepted: [] as Sent[], refused: [] as Sent[] };
let saboteurs: Saboteurs;
let customer: Customer;
let numbers = 0;

interface Sent {
  id: number;
  number: string;
  text: string;
}

beforeAll(async () => {
  customer = await flow.customer(PHONE);
  saboteurs = new Saboteurs(flow.stack);
});

async function send(at = ""): Promise<Sent> {
  numbers += 1;
  const number = `62813100${String(80_000 + numbers)}`;
  const text = `Pemberitahuan nomor ${numbers} untuk Anda`;
  const { packets } = await flow.send(customer, { number, message: text, sendingdatetime: at });
  const [answer] = packets;
  if (answer?.sendingstatus === 10) {
    const sent = { id: answer.sendingid, number, text };
    texts.accepted.push(sent);
    return sent;
  }
  expect(answer).toMatchObject({ sendingstatus: 90, sendingid: 0, price: 0 });
  const refused = { id: 0, number, text };
  texts.refused.push(refused);
  return refused;
}

async function untilShown({ number, text }: Sent): Promise<void> {
  await flow.until("a text on its phone", async () => {
    const shown = await flow.whatsapp.shown(number, PHONE);
    return shown.some((one) => one.text === text) ? true : null;
  });
}

/** One text a minute, the first of them in a minute. */
async function schedule(): Promise<Sent[]> {
  const { aheadMs } = await saboteurs.report();
  const startMs = Date.now() + aheadMs;
  const sent: Sent[] = [];
  for (let minute = 1; minute <= SCHEDULED; minute += 1) {
    sent.push(await send(wallTime(startMs + minute * MINUTE_MS).written));
  }
  return sent;
}

function openHolds(): number {
  const [row] = flow.stored.books(
    `SELECT count(*) AS n FROM transfers h WHERE h.leg = 'hold'
     AND NOT EXISTS (SELECT 1 FROM transfers e WHERE e.ref = h.ref AND e.leg = 'end')`,
  );
  return Number(row?.["n"]);
}

async function untilBooked(): Promise<void> {
  await flow.until("every hold to end", async () => {
    if (openHolds() === 0) return true;
    await saboteurs.moveTime(MINUTE_MS);
    await flow.stack.product.runCron();
    return null;
  });
}

test("while D1 fails for five minutes phones get what is due, and sends are refused", async () => {
  const scheduled = await schedule();
  await saboteurs.outage("errors");
  for (const text of scheduled) {
    await saboteurs.moveTime(MINUTE_MS + 1_000);
    await untilShown(text);
    await send();
    await flow.stack.product.runCron();
  }
  expect(texts.refused).toHaveLength(SCHEDULED);
  expect(openHolds()).toBe(SCHEDULED);
  await saboteurs.outage(null);
  await untilBooked();
  for (const { id } of scheduled) expect(flow.stored.money(id)).toEqual(["hold 200", "settle 200"]);
  await untilShown(await send());
}, 90_000);

test("while D1 says nothing the same, and what it does afterwards is given back and never sent", async () => {
  const [text] = await schedule();
  if (text === undefined) throw new Error("nothing was scheduled");
  // An isolate that has not met the device: it cannot tell it to drop anything.
  const { aheadMs } = await saboteurs.report();
  await flow.stack.crashWorker();
  saboteurs = new Saboteurs(flow.stack);
  await saboteurs.moveTime(aheadMs);
  const before = texts.refused.length;
  const holdsBefore = openHolds();
  await flow.untilDevice(customer, "connected");
  await saboteurs.outage("silent");
  await Promise.all(Array.from({ length: 4 }, async () => send()));
  expect(texts.refused).toHaveLength(before + 4);
  await saboteurs.moveTime(MINUTE_MS + 1_000);
  await untilShown(text);
  await saboteurs.outage(null);
  await saboteurs.moveTime((SCHEDULED + 1) * MINUTE_MS);
  await untilBooked();
  expect(holdsBefore).toBe(SCHEDULED);
}, 90_000);

test("each accepted text was shown once, each refused one nowhere, and only the first were charged", async () => {
  expect(texts.accepted).toHaveLength(2 * SCHEDULED + 1);
  for (const sent of texts.accepted) {
    const shown = (await flow.whatsapp.shown(sent.number, PHONE)).filter(
      ({ text }) => text === sent.text,
    );
    expect(shown.map(({ copies }) => copies)).toEqual([1]);
    expect(flow.stored.money(sent.id)).toEqual(["hold 200", "settle 200"]);
  }
  for (const { number } of texts.refused) {
    expect(await flow.whatsapp.shown(number, PHONE)).toEqual([]);
  }
  const spent = 1_000_000 - flow.stored.available(customer.accountId);
  expect(spent).toBe(texts.accepted.length * 200);
});
