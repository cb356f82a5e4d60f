/**
 * How long accepting takes at a device with 100,000 waiting texts, beside one with 1,000, in rounds that take turns. Paced,
 * as in production, so that each text is judged against what waits before it; every text is for later, some behind all
 * others, which is the most that there is to judge.
 */
import { z } from "zod";
import { systemClock } from "../../src/domain/clock.ts";
import { startStack } from "../flow/support/stack.ts";
import type { Customer, Stack } from "../flow/support/stack.ts";
import { wallTime } from "../flow/support/wall-time.ts";
import { bodyOf, richCustomer, sendTarget } from "./customers.ts";
import { perSecond, quantile, runRound } from "./load.ts";
import type { Round, Target } from "./load.ts";
import type { Options } from "./options.ts";
import { round } from "./report.ts";
import type { Section } from "./report.ts";

const SHORT = 1_000;
const LONG = 100_000;
const CONNECTIONS = 4;
const RATIO_MAX = 1.1;
const DAY_MS = 24 * 3_600_000;
const FILL_PART = 5_000;

export async function benchLongQueue(options: Options): Promise<Section> {
  await using stack = await startStack({
    entry: "test/bench/filling-worker.ts",
    vars: { PACING: "on" },
    hosts: 1,
  });
  const short = await richCustomer(stack, "6281234567001");
  const long = await richCustomer(stack, "6281234567002");
  await stack.hosts[0]?.terminate();
  await fill(stack, short, SHORT);
  await fill(stack, long, LONG);
  const targets = [short, long].map((customer) => laterTarget(stack, customer));
  const rounds: Round[][] = [[], []];
  for (const target of targets) await runRound(target, CONNECTIONS, 1);
  for (let count = 0; count < options.acceptRounds; count += 1) {
    // Neither is always the first.
    const order = count % 2 === 0 ? [0, 1] : [1, 0];
    for (const which of order) {
      const target = targets[which];
      if (target === undefined) continue;
      rounds[which]?.push(await runRound(target, CONNECTIONS, options.acceptSeconds));
    }
  }
  const [ofShort = [], ofLong = []] = rounds;
  return {
    title: "A long queue",
    notes: [
      `Two devices, one with ${SHORT} and one with ${LONG} waiting texts over 25 days; their rounds take turns.`,
      "Pacing is on, the host stopped; each accepted text is due within the next 30 days.",
    ],
    columns: ["waiting", "requests/s", "p50 ms", "p99 ms"],
    rows: [row(SHORT, ofShort), row(LONG, ofLong)],
    goals: [
      {
        what: `accept time at ${LONG} waiting texts beside ${SHORT}`,
        value: medianMs(ofLong) / medianMs(ofShort),
        atMost: RATIO_MAX,
      },
    ],
  };
}

async function fill(stack: Stack, { waid }: Customer, count: number): Promise<void> {
  for (let stored = 0; stored < count; stored += FILL_PART) {
    const body = { waid, count: Math.min(FILL_PART, count - stored) };
    const call = { method: "POST" as const, path: "/bench/fill", token: "", body };
    const filled = await stack.call(call, z.unknown());
    if (!filled.ok) throw new Error(`the queue was not filled: ${filled.error.reason}`);
  }
}

let turns = 0;

function laterTarget(stack: Stack, customer: Customer): Target {
  return {
    ...sendTarget(stack, customer),
    nextBody: () => {
      turns += 1;
      // By turns in the queue and behind it.
      const days = 1 + (turns % 29);
      return bodyOf(customer, wallTime(systemClock() + days * DAY_MS).written);
    },
  };
}

/** The median of the rounds' own medians: one that the machine disturbed does not count. */
function medianMs(rounds: readonly Round[]): number {
  return quantile(
    rounds.map(({ latenciesMs }) => quantile(latenciesMs, 0.5)),
    0.5,
  );
}

function row(waiting: number, rounds: readonly Round[]): string[] {
  const latenciesMs = rounds.flatMap((measured) => measured.latenciesMs);
  return [
    String(waiting),
    round(quantile(rounds.map(perSecond), 0.5)),
    round(medianMs(rounds)),
    round(quantile(latenciesMs, 0.99)),
  ];
}
