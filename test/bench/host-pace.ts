/**
 * How fast one host sends, without pacing, beside bare Baileys on the same simulator: the same recipients, warm
 * sessions, judged by the simulator's acknowledgements. One after the other for the time of each, then many that all
 * come due in one moment and were accepted before, so that accepting does not count.
 */
import { z } from "zod";
import { systemClock } from "../../src/domain/clock.ts";
import { startStack } from "../flow/support/stack.ts";
import type { Customer, Stack } from "../flow/support/stack.ts";
import { Acks } from "./acks.ts";
import { bareBaileysOn } from "./bare-baileys.ts";
import type { BareBaileys } from "./bare-baileys.ts";
import type { BareTexts } from "./bare-settings.ts";
import {
  HOST_ENV,
  bodyOf,
  nextRecipient,
  nextText,
  recipients,
  richCustomer,
  sendTarget,
} from "./customers.ts";
import { quantile } from "./load.ts";
import { processorMs } from "./processor-time.ts";
import type { Options } from "./options.ts";
import { round } from "./report.ts";
import type { Section } from "./report.ts";

const PHONE = "6281234567001";
const BARE_PHONE = "6281234567002";
const SHARE_OF_BARE = 0.8;
const SENDS_AT_ONCE = 8;
/** A burst comes due when all of it has been accepted on a slow machine. */
const ACCEPT_BEFORE_MS = 4_000;
const ACCEPT_EACH_MS = 12;
const WIB_OFFSET_MS = 7 * 3_600_000;

/** One side of the comparison. */
interface Side {
  name: string;
  acks: Acks;
  /** Gives one text to be sent; ends when it was taken. */
  give(): Promise<void>;
  /** Sends so many as fast as it can. */
  burst(count: number): Promise<void>;
  /** Leaders of the process groups at work: who speaks to WhatsApp, the Worker, the simulator. */
  pids(): number[];
  latenciesMs: number[];
  bursts: Burst[];
}

interface Burst {
  perSecond: number;
  /** Processor time of each of `pids` for a message. */
  processorMs: number[];
}

export async function benchHost(options: Options): Promise<Section> {
  await using stack = await startStack({ hostEnv: HOST_ENV });
  // Receipts at once: whoever is measured handles its own.
  await stack.control("POST", "/behaviour", { readDelayMs: 0 }, z.unknown());
  const greeted = await Acks.from(stack, PHONE);
  const customer = await richCustomer(stack, PHONE);
  await using bare = bareBaileysOn(stack, BARE_PHONE);
  // The greeting after the scan is acknowledged like any text.
  await greeted.next(1);
  const sides = [await hostSide(stack, customer), await bareSide(stack, bare)];
  for (const side of sides) await warmUp(side);
  await timeEach(sides, options.hostSingles);
  for (let count = 0; count < options.hostRounds; count += 1) {
    for (const side of count % 2 === 0 ? sides : sides.toReversed()) {
      side.bursts.push(await burstOf(side, options.hostMessages));
    }
  }
  return section(sides, options);
}

async function hostSide(stack: Stack, customer: Customer): Promise<Side> {
  const target = sendTarget(stack, customer);
  const give = async (dueAt = ""): Promise<void> => {
    const answer = await fetch(target.url + target.path, {
      method: "POST",
      body: bodyOf(customer, dueAt),
      signal: AbortSignal.timeout(10_000),
    });
    const fault = target.fault(answer.status, await answer.text());
    if (fault !== null) throw new Error(fault);
  };
  return {
    name: "through Kabar",
    acks: await Acks.from(stack, PHONE),
    give,
    burst: async (count) => {
      const dueAt = localTimeAt(systemClock() + ACCEPT_BEFORE_MS + count * ACCEPT_EACH_MS);
      let left = count;
      const sender = async (): Promise<void> => {
        while (left > 0) {
          left -= 1;
          await give(dueAt);
        }
      };
      await Promise.all(Array.from({ length: SENDS_AT_ONCE }, sender));
    },
    pids: () => [stack.hosts[0]?.pid ?? 0, stack.worker.pid, stack.simulator?.process.pid ?? 0],
    latenciesMs: [],
    bursts: [],
  };
}

/** The old API's time: to the second, in the account's zone, WIB. */
function localTimeAt(atMs: number): string {
  return new Date(atMs + WIB_OFFSET_MS).toISOString().slice(0, 19).replace("T", " ");
}

async function bareSide(stack: Stack, bare: BareBaileys): Promise<Side> {
  const texts = (count: number): BareTexts =>
    Array.from({ length: count }, () => ({ to: nextRecipient(), text: nextText() }));
  return {
    name: "bare Baileys",
    acks: await Acks.from(stack, BARE_PHONE),
    give: () => bare.send(texts(1)),
    burst: (count) => bare.send(texts(count)),
    pids: () => [bare.pid, stack.worker.pid, stack.simulator?.process.pid ?? 0],
    latenciesMs: [],
    bursts: [],
  };
}

/** A session with every recipient. */
async function warmUp(side: Side): Promise<void> {
  for (let count = 0; count < recipients.length; count += 1) {
    await side.give();
    await side.acks.next(1);
  }
}

/** From the moment a text is given until WhatsApp acknowledges it; the sides take turns. */
async function timeEach(sides: readonly Side[], count: number): Promise<void> {
  for (let sent = 0; sent < count; sent += 1) {
    for (const side of sides) {
      const startMs = systemClock();
      const [, [atMs = Number.NaN]] = await Promise.all([side.give(), side.acks.next(1)]);
      side.latenciesMs.push(atMs - startMs);
    }
  }
}

/** Counts from the first acknowledgements to the last. */
async function burstOf(side: Side, count: number): Promise<Burst> {
  const given = side.burst(count);
  const early = await side.acks.next(1);
  const before = side.pids().map(processorMsOf);
  const late = await side.acks.next(count - early.length);
  const spentMs = side
    .pids()
    .map((pid, index) => (processorMsOf(pid) - (before[index] ?? 0)) / late.length);
  await given;
  const spanMs = Math.max(...late) - Math.max(...early);
  return { perSecond: (late.length * 1000) / spanMs, processorMs: spentMs };
}

/** NaN where the system does not tell. */
function processorMsOf(pid: number): number {
  return processorMs(pid) ?? Number.NaN;
}

function section(sides: readonly Side[], options: Options): Section {
  const median = (side: Side | undefined, pick: (burst: Burst) => number): number =>
    quantile((side?.bursts ?? []).map(pick), 0.5);
  const pace = (side: Side | undefined): number => median(side, (burst) => burst.perSecond);
  const ratio = pace(sides[0]) / pace(sides[1]);
  return {
    title: "One host",
    notes: [
      `One device, ${recipients.length} recipients with sessions, pacing off; bare Baileys on the same simulator, in turns.`,
      "Time to acknowledgement: one text at a time, from the request (for bare Baileys the call) to WhatsApp's acknowledgement.",
      `Messages a second: ${options.hostMessages} that come due in one moment, accepted before, from the first acknowledgement to the last (median of ${options.hostRounds}).`,
      "Processor time of a message in each process: all of them share the cores named above.",
    ],
    columns: ["", "messages/s", "p50 ms", "p99 ms", "client", "Worker", "simulator", "of bare"],
    rows: sides.map((side, index) => [
      side.name,
      round(pace(side)),
      round(quantile(side.latenciesMs, 0.5)),
      round(quantile(side.latenciesMs, 0.99)),
      ...[0, 1, 2].map((part) => round(median(side, (burst) => burst.processorMs[part] ?? 0))),
      index === 0 ? round(ratio) : "",
    ]),
    goals: [{ what: "messages/s beside bare Baileys,", value: ratio, atLeast: SHARE_OF_BARE }],
  };
}
