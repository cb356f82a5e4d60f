/**
 * The runbook "Restoring D1" of docs/operations.md, step by step, on real processes: D1 is really set back to an earlier
 * state while devices hold later facts. Afterwards the books are to the row what they were, by SQL over `transfers`;
 * each accepted text is on its phone once, and no refused one anywhere.
 */
import { beforeAll, expect, test } from "vitest";
import { z } from "zod";
import { BooksCopy } from "./support/books-copy.ts";
import { useFlow } from "./support/flow.ts";
import { Saboteurs } from "./support/saboteur.ts";
import type { Customer } from "./support/stack.ts";
import { wallTime } from "./support/wall-time.ts";

const PHONES = ["6281234580001", "6281234580002"] as const;
const HOUR_MS = 3_600_000;
const MORE_RUPIAH = 50_000;

const flow = useFlow({ entry: "test/flow/support/sabotage-worker.ts" });
let saboteurs: Saboteurs;
let customers: Customer[];
/** What the clients heard: texts that were accepted, by recipient, and some that were not. */
const accepted: { customer: Customer; number: string; text: string }[] = [];
const refused: { customer: Customer; number: string; text: string }[] = [];
let numbers = 0;

beforeAll(async () => {
  customers = [await flow.customer(PHONES[0]), await flow.customer(PHONES[1])];
  saboteurs = new Saboteurs(flow.stack);
});

const booksShape = z.object({
  held_since: z.string().nullable(),
  books_generation: z.number(),
  listing: z.boolean(),
  devices: z.object({
    all: z.number(),
    untold: z.number(),
    telling: z.number(),
    unknown: z.number(),
  }),
  troubled: z.array(z.unknown()),
  texts_only_in_books: z.number().nullable().optional(),
});
type Books = z.infer<typeof booksShape>;

async function books(method: "GET" | "POST", step = "", body?: object): Promise<Books> {
  const token = flow.stack.operatorToken;
  const path = `/operator/books${step}`;
  const answer = await flow.stack.call({ method, path, token, body }, booksShape);
  if (!answer.ok) throw new Error(`${path}: ${answer.error.reason}`);
  return answer.value;
}

function untilBooks(what: string, isSo: (state: Books) => boolean): Promise<Books> {
  return flow.until(what, async () => {
    const state = await books("GET");
    return isSo(state) ? state : null;
  });
}

function freshNumber(): string {
  numbers += 1;
  return `62813100${String(70_000 + numbers)}`;
}

async function sendText(customer: Customer, at?: string): Promise<{ id: number; number: string }> {
  const number = freshNumber();
  const text = `Pengingat untuk nomor antrean ${numbers}`;
  const packet = { number, message: text, ...(at === undefined ? {} : { sendingdatetime: at }) };
  const { packets } = await flow.send(customer, packet);
  const [answer] = packets;
  if (answer?.sendingstatus === 10) accepted.push({ customer, number, text });
  else refused.push({ customer, number, text });
  return { id: answer?.sendingstatus === 10 ? answer.sendingid : 0, number };
}

async function delivered(customer: Customer): Promise<void> {
  const { id } = await sendText(customer);
  await flow.untilMessage(customer, id, "received");
}

/** Every movement of money; of one message in a row. A top-up that is entered again has another time. */
function movements(): string[] {
  return flow.stored
    .books(
      "SELECT ref, leg, kind, account_id, debit, credit, amount, iif(leg = 'post', 0, at_ms) FROM transfers ORDER BY ref, leg",
    )
    .map((row) => Object.values(row).join(" "));
}

function holdsWithoutEnd(): number {
  const [row] = flow.stored.books(
    `SELECT count(*) AS n FROM messages m WHERE m.status <> 'pending'
     AND NOT EXISTS (SELECT 1 FROM transfers t WHERE t.ref = 'message:' || m.id AND t.leg = 'end')`,
  );
  return Number(row?.["n"]);
}

let copy: BooksCopy;
let before: string[];
let dueLater: { atMs: number; written: string };

test("life before and after the moment that D1 will be set back to", async () => {
  const [first, second] = customers as [Customer, Customer];
  for (const customer of customers) await delivered(customer);
  copy = BooksCopy.take(flow.stack.storePath);

  await flow.stack.product.topUp(first.accountId, MORE_RUPIAH, "transfer-77");
  for (const customer of [first, second, first]) await delivered(customer);
  // WhatsApp refuses one: its hold is given back.
  const unlucky = freshNumber();
  await flow.whatsapp.post("/acks", {
    account: PHONES[0],
    to: unlucky,
    mode: "error",
    code: 479,
    count: 1,
  });
  numbers -= 1;
  const { id: lost } = await sendText(first);
  accepted.pop();
  await flow.untilMessage(first, lost, "reject");
  // One is cancelled, one is due in an hour.
  dueLater = wallTime(Date.now() + HOUR_MS);
  const { id: cancelled } = await sendText(second, dueLater.written);
  accepted.pop();
  await flow.stack.call(
    { method: "POST", path: `/v1/messages/${cancelled}/cancel`, token: second.apiKey, body: {} },
    z.unknown(),
  );
  await sendText(second, dueLater.written);
  // And what waits because the host is gone.
  await flow.stack.hosts[0]?.terminate();
  for (const customer of customers) await flow.untilDevice(customer, "reconnecting");
  for (const customer of customers) await sendText(customer);
  await flow.until("the ends to be booked", async () => {
    const voids = movements().filter((line) => line.includes(" void ")).length;
    return voids === 2 && holdsWithoutEnd() === 0 ? true : null;
  });
  before = movements();
  expect(accepted).toHaveLength(8);
}, 90_000);

test("held: nothing is accepted or handed over, and no text is in D1 alone", async () => {
  await books("POST", "/hold");
  await untilBooks(
    "all devices to hold",
    ({ listing, devices }) => !listing && devices.untold === 0,
  );
  await saboteurs.moveTime(31_000);
  await flow.stack.product.runCron();
  await untilBooks("no text in D1 alone", (state) => state.texts_only_in_books === 0);
  for (const customer of customers) await sendText(customer);
  expect(refused).toHaveLength(2);
});

test("D1 set back: the books have forgotten, and still nothing is accepted", async () => {
  await flow.stack.crashWorker(() => copy.putBack());
  saboteurs = new Saboteurs(flow.stack);
  await saboteurs.moveTime(31_000);
  expect(movements().length).toBeLessThan(before.length - 10);
  for (const customer of customers) await sendText(customer);
  expect(refused).toHaveLength(4);
});

test("raised: devices tell the books what they know, after the top-up was entered again", async () => {
  const [first] = customers as [Customer];
  await flow.stack.product.topUp(first.accountId, MORE_RUPIAH, "transfer-77");
  await books("POST", "/raise");
  const state = await untilBooks(
    "all devices to have told",
    ({ listing, devices }) => !listing && devices.untold + devices.telling === 0,
  );
  expect(state).toMatchObject({ devices: { all: 2, unknown: 0 }, troubled: [] });
  // To the row what they were; beside it only what was refused since, held and given back.
  await flow.until("the refused to be given back", async () => {
    const since = movements().filter((line) => !before.includes(line));
    return since.length === 8 ? true : null;
  });
  const after = movements();
  expect(after.filter((line) => before.includes(line))).toEqual(before);
  const since = after.filter((line) => !before.includes(line));
  expect(since.map((line) => line.split(" ").slice(1, 3).join(" ")).toSorted()).toEqual([
    ...Array.from({ length: 4 }, () => "end void"),
    ...Array.from({ length: 4 }, () => "hold hold"),
  ]);
});

test("released: what waited is sent once, what is due later at its time, and sending goes on", async () => {
  await books("POST", "/release", {});
  await untilBooks("the end of it", ({ devices }) => devices.all === 0);
  await flow.stack.addHost();
  for (const customer of customers) await flow.untilDevice(customer, "connected");
  for (const customer of customers) await delivered(customer);
  await saboteurs.moveTime(dueLater.atMs - Date.now());
  expect(accepted).toHaveLength(10);
  for (const { customer, number, text } of accepted) {
    await flow.until("a text on its phone", async () => {
      const shown = await flow.whatsapp.shown(number, customer.phone);
      return shown.some((one) => one.text === text) ? true : null;
    });
  }
  for (const { customer, number, text } of accepted) {
    const shown = (await flow.whatsapp.shown(number, customer.phone)).filter(
      (one) => one.text === text,
    );
    expect(shown.map(({ copies }) => copies)).toEqual([1]);
  }
  for (const { customer, number } of refused) {
    expect(await flow.whatsapp.shown(number, customer.phone)).toEqual([]);
  }
}, 90_000);
