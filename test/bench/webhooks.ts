/**
 * The way back: from an event's storing at the device to the customer's server, alone and while another server of the
 * same account hangs; how fast one endpoint drains, alone and beside one that hangs; and workerd's memory while a long
 * queue fills and drains. Receivers are on loopback: what is measured is ours.
 */
import { z } from "zod";
import { demand } from "../../session-host/local/demo.ts";
import { startStack } from "../flow/support/stack.ts";
import type { Customer, Stack } from "../flow/support/stack.ts";
import { CustomerServer } from "./customer-server.ts";
import { nextRecipient, nextText, richCustomer } from "./customers.ts";
import { quantile } from "./load.ts";
import type { Options } from "./options.ts";
import { round } from "./report.ts";
import type { Section } from "./report.ts";
import { residentMib } from "./resident-memory.ts";

const READ_DELAY_MS = 20;
const TEXT = "x".repeat(1_000);
const FEED_AT_ONCE = 5_000;
const SAMPLE_MS = 500;
/** Until then memory grows with the work and not with the queue. */
const WARM_EVENTS = 2_000;
const WAIT_MS = 1_800_000;
const STORE_TO_DELIVERY_P50_MS = 50;
const BESIDE_HANGING_MIN = 0.8;
const DELAY_RATIO_MAX = 1.5;
/** Half of what the texts of a long queue weigh. */
const GROWTH_MIB_MAX = 48;

interface Webhook {
  customer: Customer;
  endpointId: string;
  path: string;
  /** The last number fed. */
  fed: number;
}

export async function benchWebhooks(options: Options): Promise<Section> {
  await using server = await CustomerServer.start();
  await using stack = await startStack({
    entry: "test/bench/feeding-worker.ts",
    vars: { WEBHOOK_LOOPBACK: "allow" },
  });
  await stack.control("POST", "/behaviour", { readDelayMs: READ_DELAY_MS }, z.unknown());
  const customer = await richCustomer(stack, "6281234567001");
  const open = (path: string): Promise<Webhook> => newWebhook(stack, server, customer, path);
  const told = await open("/told");
  const hangs = await open("/hang/told");
  const alone: number[] = [];
  const besideHanging: number[] = [];
  for (const isBeside of turns(options.webhookRounds)) {
    await setEnabled(stack, hangs, isBeside);
    const found = await delays(stack, server, told, options.webhookSingles);
    (isBeside ? besideHanging : alone).push(...found);
  }
  for (const webhook of [told, hangs]) await remove(stack, webhook);
  const pace = await paces(stack, server, open, options);
  const memory = await memoryOfQueue(stack, server, await open("/long"), options.webhookQueue);
  return section({ alone, besideHanging, ...pace, memory, queue: options.webhookQueue });
}

/** So many rounds of each condition; neither is always the first. */
function turns(rounds: number): boolean[] {
  const order = Array.from({ length: rounds }, (_, at) => at % 2 === 0);
  return order.flatMap((isFirst) => (isFirst ? [false, true] : [true, false]));
}

async function newWebhook(
  stack: Stack,
  server: CustomerServer,
  customer: Customer,
  path: string,
): Promise<Webhook> {
  const made = await stack.product.createEndpoint(customer.apiKey, server.url(path));
  return { customer, endpointId: demand(made, "create an endpoint").id, path, fed: 0 };
}

async function remove(stack: Stack, { customer, endpointId }: Webhook): Promise<void> {
  const path = `/v1/endpoints/${endpointId}`;
  await stack.call({ method: "DELETE", path, token: customer.apiKey }, z.unknown());
}

/** From storing to arrival, of each event of so many texts, the next one sent when the last one was read. */
async function delays(
  stack: Stack,
  server: CustomerServer,
  { customer, path }: Webhook,
  messages: number,
): Promise<number[]> {
  const before = server.at(path).length;
  for (let sent = 0; sent < messages; sent += 1) {
    const answer = await stack.product.send(
      customer.apiKey,
      customer.waid,
      nextRecipient(),
      nextText(),
    );
    const [packet] = demand(answer, "send a text").sending_respon[0].datapacket ?? [];
    const about = String(packet?.packet.sendingid);
    await stack.until("a text to be told as read", async () => {
      const last = server.at(path).findLast((one) => one.about === about);
      return last?.type === "message.read" ? true : null;
    });
  }
  return server
    .at(path)
    .slice(before)
    .map(({ saidMs, cameMs }) => cameMs - saidMs);
}

interface Paces {
  paceAlone: number[];
  paceBesideHanging: number[];
}

async function paces(
  stack: Stack,
  server: CustomerServer,
  open: (path: string) => Promise<Webhook>,
  { webhookRounds, webhookDrain }: Options,
): Promise<Paces> {
  const drained = await open("/drained");
  const hangs = await open("/hang/drained");
  await setEnabled(stack, hangs, false);
  await feed(stack, hangs, webhookDrain);
  const found: Paces = { paceAlone: [], paceBesideHanging: [] };
  for (const isBeside of turns(webhookRounds)) {
    await setEnabled(stack, hangs, isBeside);
    const pace = await drain(stack, server, drained, webhookDrain, () => undefined);
    (isBeside ? found.paceBesideHanging : found.paceAlone).push(pace);
  }
  await remove(stack, hangs);
  await remove(stack, drained);
  return found;
}

/** Events a second, from the moment the endpoint may deliver to the last arrival. */
async function drain(
  stack: Stack,
  server: CustomerServer,
  webhook: Webhook,
  count: number,
  onQueued: () => void,
): Promise<number> {
  await setEnabled(stack, webhook, false);
  const wanted = server.at(webhook.path).length + count;
  await feed(stack, webhook, count);
  onQueued();
  const startMs = Date.now();
  await setEnabled(stack, webhook, true);
  await untilArrived(stack, server, webhook, wanted);
  const endMs = server.at(webhook.path).at(-1)?.cameMs ?? Number.NaN;
  return (count * 1_000) / (endMs - startMs);
}

async function untilArrived(
  stack: Stack,
  server: CustomerServer,
  { path }: Webhook,
  wanted: number,
): Promise<void> {
  const arrived = async () => (server.at(path).length >= wanted ? true : null);
  await stack.until(`${wanted} deliveries`, arrived, WAIT_MS);
}

async function setEnabled(
  stack: Stack,
  { customer, endpointId }: Webhook,
  enabled: boolean,
): Promise<void> {
  const path = `/v1/endpoints/${endpointId}`;
  const call = { method: "PATCH" as const, path, token: customer.apiKey, body: { enabled } };
  demand(await stack.call(call, z.unknown()), "change an endpoint");
}

async function feed(stack: Stack, webhook: Webhook, count: number): Promise<void> {
  const { customer, endpointId } = webhook;
  for (let left = count; left > 0; left -= FEED_AT_ONCE) {
    const part = Math.min(left, FEED_AT_ONCE);
    const { accountId } = customer;
    const body = { accountId, endpointId, after: webhook.fed, count: part, text: TEXT };
    demand(await stack.call({ method: "POST", path: "/bench/feed", body }, z.unknown()), "feed");
    webhook.fed += part;
  }
}

interface Memory {
  /** Of a tenth of the events, queued and drained before. */
  tenthMib: number;
  queuedMib: number;
  peakMib: number;
  drainedMib: number;
  perSecond: number;
}

async function memoryOfQueue(
  stack: Stack,
  server: CustomerServer,
  webhook: Webhook,
  count: number,
): Promise<Memory> {
  const now = (): number => residentMib(stack.worker.pid, "workerd");
  let peakMib = 0;
  const sampler = setInterval(() => {
    peakMib = Math.max(peakMib, now());
  }, SAMPLE_MS);
  try {
    await drain(stack, server, webhook, Math.max(count / 10, WARM_EVENTS), () => undefined);
    const tenthMib = peakMib;
    let queuedMib = 0;
    const perSecond = await drain(stack, server, webhook, count, () => {
      queuedMib = now();
    });
    return { tenthMib, queuedMib, peakMib, drainedMib: now(), perSecond };
  } finally {
    clearInterval(sampler);
  }
}

function section(
  found: Paces & {
    alone: readonly number[];
    besideHanging: readonly number[];
    memory: Memory;
    queue: number;
  },
): Section {
  const { alone, besideHanging, paceAlone, paceBesideHanging, memory, queue } = found;
  const weightMib = (queue * TEXT.length) / 2 ** 20;
  const p50 = (values: readonly number[]): number => quantile(values, 0.5);
  const row = (what: string, value: number, beside = ""): string[] => [what, round(value), beside];
  return {
    title: "Webhooks",
    notes: [
      `Store to delivery: ${alone.length} events of texts sent one by one (sent, received, read), from the time in the body to the arrival.`,
      `Draining: a queue that stood ready, four calls in flight, events of ${TEXT.length} characters; beside: while another endpoint's receiver answers nothing.`,
      `Memory: resident, of workerd alone, while ${queue} events (${round(weightMib)} MiB of text) queue and drain.`,
    ],
    columns: ["", "", "beside a hanging one"],
    rows: [
      row("store to delivery, p50 ms", p50(alone), round(p50(besideHanging))),
      row("store to delivery, p99 ms", quantile(alone, 0.99), round(quantile(besideHanging, 0.99))),
      row("events drained/s", p50(paceAlone), round(p50(paceBesideHanging))),
      row("events drained/s of the long queue", memory.perSecond),
      row("MiB at most, with a tenth of the queue", memory.tenthMib),
      row("MiB with all queued", memory.queuedMib),
      row("MiB at most", memory.peakMib),
      row("MiB once drained", memory.drainedMib),
    ],
    goals: [
      { what: "store to delivery, p50 ms,", value: p50(alone), atMost: STORE_TO_DELIVERY_P50_MS },
      {
        what: "store to delivery beside a hanging endpoint, p50 of that alone,",
        value: p50(besideHanging) / p50(alone),
        atMost: DELAY_RATIO_MAX,
      },
      {
        what: "events drained beside a hanging endpoint, of those alone,",
        value: p50(paceBesideHanging) / p50(paceAlone),
        atLeast: BESIDE_HANGING_MIN,
      },
      {
        what: "MiB more than with a tenth of the queue",
        value: memory.peakMib - memory.tenthMib,
        atMost: GROWTH_MIB_MAX,
      },
    ],
  };
}
