/**
 * What one message costs in calls and rows, from its acceptance until it was read and the books know its end:
 * counted at the seam and by the databases. Alone, and twenty that share a flush.
 */
import { z } from "zod";
import { demand } from "../../session-host/local/demo.ts";
import { startStack } from "../flow/support/stack.ts";
import type { Customer, Stack } from "../flow/support/stack.ts";
import { countsReport } from "./counts-report.ts";
import type { Counts } from "./counts-report.ts";
import { nextText, recipients, richCustomer } from "./customers.ts";
import { round } from "./report.ts";
import type { Section } from "./report.ts";

const FLUSH_DELAY_MS = 2_000;
/** As many as one flush takes. */
const TOGETHER = 20;
/** What the design aims at, and how far above it is still good. */
const LEAN = { d1Alone: 7, d1Together: 5.1, object: 14 };
const MARGIN = 3;
/** The row that retention deletes a month later. */
const RETENTION_ROWS = 1;

export async function benchCounts(): Promise<Section> {
  await using stack = await startStack({
    entry: "test/bench/counting-worker.ts",
    vars: { FLUSH_DELAY_MS: String(FLUSH_DELAY_MS) },
  });
  await stack.control("POST", "/behaviour", { readDelayMs: 20 }, z.unknown());
  const customer = await richCustomer(stack, "6281234567001");
  // Sessions with every recipient, as between people who write to each other.
  await live(stack, customer, TOGETHER);
  const alone = await countWrites(stack, 1, () => live(stack, customer, 1));
  const shared = await countWrites(stack, TOGETHER, () => live(stack, customer, TOGETHER));
  const sendCalls = await countWrites(stack, 1, () => sendAll(stack, customer, 1));
  return section(sendCalls, alone, shared);
}

/** What `messages` messages cost each, all that happens in `work` counted. */
export async function countWrites(
  stack: Stack,
  messages: number,
  work: () => Promise<unknown>,
): Promise<Counts> {
  await counts(stack, "POST");
  await work();
  const all = await counts(stack, "GET");
  const each = (values: Record<string, number>): Record<string, number> =>
    Object.fromEntries(Object.entries(values).map(([name, count]) => [name, count / messages]));
  return {
    crossings: each(all.crossings),
    byStatement: each(all.byStatement),
    d1Rows: each(all.d1Rows),
    objectRows: all.objectRows / messages,
    alarms: all.alarms / messages,
  };
}

/** Rows in D1 for messages alone: a log of requests or a device's status is not part of one. */
export function messageD1Rows({ d1Rows }: Counts): number {
  return (d1Rows["d1 accept"] ?? 0) + (d1Rows["d1 record_ends"] ?? 0);
}

async function counts(stack: Stack, method: "GET" | "POST"): Promise<Counts> {
  const answer = await stack.call({ method, path: "/bench/counts" }, countsReport);
  if (!answer.ok) throw new Error("the counting Worker does not answer");
  return answer.value;
}

/** Sends to different recipients and answers the ids once all were accepted. */
async function sendAll(stack: Stack, customer: Customer, count: number): Promise<number[]> {
  const answers = await Promise.all(
    recipients
      .slice(0, count)
      .map((to) => stack.product.send(customer.apiKey, customer.waid, to, nextText())),
  );
  return answers.map((answer) => {
    const [packet] = demand(answer, "send a text").sending_respon[0].datapacket ?? [];
    if (packet?.packet.sendingstatus !== 10) throw new Error("a text was not accepted");
    return packet.packet.sendingid;
  });
}

/** Ends when every message was read and its hold is settled in D1. */
async function live(stack: Stack, customer: Customer, count: number): Promise<void> {
  const ids = await sendAll(stack, customer, count);
  for (const id of ids) {
    await stack.until("a message to be read", async () => {
      const message = await stack.product.message(customer.apiKey, id);
      return message.ok && message.value.status === "read" ? true : null;
    });
    await stack.until("the books to know the end", async () => {
      const transfers = await stack.product.transfers(id);
      return transfers.ok && transfers.value.transfers.length === 2 ? true : null;
    });
  }
  await restUntilSettled(stack);
}

/** The last alarm may still be set after the books know everything. */
async function restUntilSettled(stack: Stack): Promise<void> {
  let before = "";
  await stack.until("the device to rest", async () => {
    await new Promise((resolve) => setTimeout(resolve, FLUSH_DELAY_MS / 2));
    const now = JSON.stringify(await counts(stack, "GET"));
    const rests = now === before;
    before = now;
    return rests ? true : null;
  });
}

function section(sendCalls: Counts, alone: Counts, shared: Counts): Section {
  const ofSend = (kind: string): number =>
    Object.entries(sendCalls.crossings)
      .filter(([name]) => name.startsWith(`${kind} `))
      .reduce((sum, [, count]) => sum + count, 0);
  const objectRows = (life: Counts): number => life.objectRows + life.alarms + RETENTION_ROWS;
  const row = (what: string, pick: (life: Counts) => number, lean: string): string[] => [
    what,
    round(pick(alone)),
    round(pick(shared)),
    lean,
  ];
  const details = (pick: (life: Counts) => Record<string, number>): string[][] =>
    [...new Set([alone, shared].flatMap((life) => Object.keys(pick(life))))]
      .toSorted()
      .map((name) => row(`  ${name}`, (life) => pick(life)[name] ?? 0, ""));
  return {
    title: "Rows and calls of one message",
    notes: [
      "From acceptance through sent, received and read until the books know the end; sessions with the recipients exist.",
      "D1 rows by the call that wrote them; those of accept and record_ends are the message's own.",
      `Object rows include alarms (one each) and ${RETENTION_ROWS} for the row that retention deletes later.`,
    ],
    columns: ["per message", "alone", `${TOGETHER} a flush`, "design"],
    rows: [
      row("D1 batches of the accept", (life) => life.crossings["d1 accept"] ?? 0, "1"),
      row("D1 batches of the flush", (life) => life.crossings["d1 record_ends"] ?? 0, ""),
      row("D1 rows written", messageD1Rows, `${LEAN.d1Alone} alone, ${LEAN.d1Together}`),
      ...details((life) => life.d1Rows),
      row("Device rows written", objectRows, String(LEAN.object)),
      ...details((life) => life.byStatement),
      row("  alarms", (life) => life.alarms, ""),
    ],
    goals: [
      { what: "D1 batches of a send", value: ofSend("d1"), atLeast: 1, atMost: 1 },
      { what: "object calls of a send", value: ofSend("object"), atLeast: 1, atMost: 1 },
      { what: "D1 rows, alone,", value: messageD1Rows(alone), atMost: LEAN.d1Alone + MARGIN },
      {
        what: "D1 rows, shared flush,",
        value: messageD1Rows(shared),
        atMost: LEAN.d1Together + MARGIN,
      },
      { what: "Device rows, alone,", value: objectRows(alone), atMost: LEAN.object + MARGIN },
      {
        what: "Device rows, shared flush,",
        value: objectRows(shared),
        atMost: LEAN.object + MARGIN,
      },
    ],
  };
}
