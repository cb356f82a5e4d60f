/**
 * What is left of texts in the files of the Worker's store, read as bytes: nothing while they are kept, since they are
 * sealed, and no sealed one either after the account's time, after a device and its endpoint were deleted, and after the
 * account was closed. Receivers quote what they are sent, and some fail.
 */
import { afterAll, beforeAll, expect, test } from "vitest";
import { z } from "zod";
import { useFlow } from "./support/flow.ts";
import { Receiver } from "./support/receiver.ts";
import type { Customer } from "./support/stack.ts";
import { filesWith, moveTimesBack } from "./support/store-search.ts";

const DAY_MS = 86_400_000;
/** Kept by default, and the runs of retention between. */
const BEYOND_RETENTION_MS = 32 * DAY_MS;
const FORGOTTEN_WITHIN_MS = 60_000;

const flow = useFlow({ hosts: 1 });
let receiver: Receiver;

beforeAll(async () => {
  receiver = await Receiver.start();
  receiver.echoes = true;
});

afterAll(() => receiver.down());

interface Shop {
  customer: Customer;
  word: string;
  endpointIds: string[];
}

/** Texts in both directions that hold a word, told to an endpoint that takes them and to one that fails. */
async function shopWithTexts(phone: string, contact: string, word: string): Promise<Shop> {
  const customer = await flow.customer(phone);
  const [taken, failed] = [`/taken/${customer.waid}`, `/500/${customer.waid}`];
  const endpointIds = [
    await endpoint(customer, { url: receiver.url(taken), format: "json" }),
    await endpoint(customer, { url: receiver.url(failed), format: "form", kind: "inbox" }),
  ];
  flow.keepSecret(word);
  for (let count = 0; count < 20; count += 1) {
    // Some of them fill pages of their own.
    const filler = "sekian banyak ".repeat(count % 4 === 0 ? 200 : 3);
    await flow.whatsapp.write(contact, phone, `Pesanan saya no. ${count}: ${word} ${filler}`);
  }
  const id = await flow.sendOne(customer, contact, `Jawaban kami: ${word}`);
  await flow.untilMessage(customer, id, "read");
  await flow.until("the texts to be told", async () =>
    receiver.at(taken).filter(({ body }) => body.includes(word)).length === 20 &&
    receiver.at(failed).length > 0
      ? true
      : null,
  );
  const shop = { customer, word, endpointIds };
  expect(sealedTexts(shop)).not.toEqual([]);
  return shop;
}

async function endpoint(owner: Customer, wish: object): Promise<string> {
  const body = { allow_http: true, ...wish };
  const call = { method: "POST" as const, path: "/v1/endpoints", token: owner.apiKey, body };
  const made = await flow.stack.call(call, z.object({ id: z.string(), secret: z.string() }));
  if (!made.ok) throw new Error(`no endpoint: ${made.error.reason}`);
  flow.keepSecret(made.value.secret);
  return made.value.id;
}

/**
 * Texts and answers that are kept of it, sealed: in its device and in its endpoints. What a phone that comes back is
 * said to have done is news of today, and holds none.
 */
function sealedTexts({ customer, endpointIds }: Shop): string[] {
  const atDevice = flow.stored.device(
    customer.waid,
    `SELECT 'inbound' AS kept FROM inbound WHERE body IS NOT NULL
     UNION ALL SELECT 'outbox ' || state FROM outbox WHERE body IS NOT NULL`,
  );
  const atEndpoints = flow.stored.endpoints(
    endpointIds,
    `SELECT 'event ' || type AS kept FROM events WHERE data IS NOT NULL AND type NOT LIKE 'device.%'
     UNION ALL SELECT 'attempt ' || type FROM attempts WHERE answer IS NOT NULL AND type NOT LIKE 'device.%'`,
  );
  return [...atDevice, ...atEndpoints].map(({ kept }) => String(kept));
}

async function untilForgotten(shop: Shop): Promise<void> {
  await expect.poll(() => sealedTexts(shop), { timeout: FORGOTTEN_WITHIN_MS }).toEqual([]);
  expect(filesWith(flow.stack.storePath, shop.word)).toEqual([]);
}

test("a text is in no file while it is kept, and after the account's time not even sealed", async () => {
  const shop = await shopWithTexts("6281234533001", "6281310008001", "Kelapa-Muda-Rahasia-4711");
  expect(filesWith(flow.stack.storePath, shop.word)).toEqual([]);
  // The search itself finds what is there.
  expect(filesWith(flow.stack.storePath, shop.customer.waid)).not.toEqual([]);

  await flow.stack.worker.kill();
  moveTimesBack(flow.stack.storePath, BEYOND_RETENTION_MS);
  await flow.stack.crashWorker();
  await flow.untilDevice(shop.customer, "connected");
  for (const id of shop.endpointIds) await look(shop.customer, id);
  await untilForgotten(shop);
  // A text that comes again is still known: nothing of it is told a second time.
  expect(flow.stored.device(shop.customer.waid, "SELECT 1 FROM inbound")).toHaveLength(20);
});

test("after a device and its endpoints are deleted nothing is kept of its texts", async () => {
  const shop = await shopWithTexts("6281234533002", "6281310008002", "Durian-Montong-Rahasia-12");
  const { apiKey, waid } = shop.customer;
  const paths = [...shop.endpointIds.map((id) => `/v1/endpoints/${id}`), `/v1/devices/${waid}`];
  for (const path of paths) {
    const gone = await flow.stack.call({ method: "DELETE", path, token: apiKey }, z.unknown());
    expect(gone.ok).toBe(true);
  }
  await untilForgotten(shop);
});

test("after an account is closed nothing is kept of its texts", async () => {
  const shop = await shopWithTexts("6281234533003", "6281310008003", "Rambutan-Rahasia-Binjai-77");
  const path = `/operator/accounts/${shop.customer.accountId}`;
  const token = flow.stack.operatorToken;
  expect((await flow.stack.call({ method: "DELETE", path, token }, z.unknown())).ok).toBe(true);
  await untilForgotten(shop);
});

/** Wakes an endpoint's object, whose alarm may be set to a time that moved. */
async function look({ apiKey }: Customer, id: string): Promise<void> {
  const call = { method: "GET" as const, path: `/v1/endpoints/${id}`, token: apiKey };
  expect((await flow.stack.call(call, z.unknown())).ok).toBe(true);
}
