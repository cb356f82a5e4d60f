/**
 * What one customer's flood does to another's sends: the quiet one's latencies alone and beside the flood, in rounds that
 * take turns. The devices are paired, the host is stopped: accepting alone is measured.
 */
import { startStack } from "../flow/support/stack.ts";
import { richCustomer, sendTarget } from "./customers.ts";
import { perSecond, quantile, runRound } from "./load.ts";
import type { Round } from "./load.ts";
import type { Options } from "./options.ts";
import { round } from "./report.ts";
import type { Section } from "./report.ts";

const QUIET_CONNECTIONS = 2;
const FLOOD_CONNECTIONS = 64;
const RATIO_MAX = 2;
/** A round begins when the flood stands. */
const FLOOD_AHEAD_S = 1;

export async function benchFlood(options: Options): Promise<Section> {
  await using stack = await startStack();
  const quiet = await richCustomer(stack, "6281234567001");
  const loud = await richCustomer(stack, "6281234567002");
  await stack.hosts[0]?.terminate();
  const [quietTarget, loudTarget] = [sendTarget(stack, quiet), sendTarget(stack, loud)];
  await runRound(loudTarget, FLOOD_CONNECTIONS, 1);
  await runRound(quietTarget, QUIET_CONNECTIONS, 1);
  const alone: Round[] = [];
  const beside: Round[] = [];
  const flood: Round[] = [];
  const { acceptRounds, acceptSeconds } = options;
  for (let count = 0; count < acceptRounds; count += 1) {
    alone.push(await runRound(quietTarget, QUIET_CONNECTIONS, acceptSeconds));
    const loudRound = runRound(loudTarget, FLOOD_CONNECTIONS, acceptSeconds + 2 * FLOOD_AHEAD_S);
    await new Promise((resolve) => {
      setTimeout(resolve, FLOOD_AHEAD_S * 1_000);
    });
    beside.push(await runRound(quietTarget, QUIET_CONNECTIONS, acceptSeconds));
    flood.push(await loudRound);
  }
  return {
    title: "One customer's flood",
    notes: [
      `The quiet customer sends over ${QUIET_CONNECTIONS} connections, the loud one over ${FLOOD_CONNECTIONS}, each its next text when the last was answered.`,
    ],
    columns: ["", "requests/s", "p50 ms", "p99 ms"],
    rows: [
      row("quiet, alone", alone),
      row("quiet, beside the flood", beside),
      row("the flood", flood),
    ],
    goals: [
      {
        what: "the quiet customer's p99 beside the flood, to that alone,",
        value: latencyMs(beside, 0.99) / latencyMs(alone, 0.99),
        atMost: RATIO_MAX,
      },
    ],
  };
}

/** The median of the rounds: one that the machine disturbed does not count. */
function latencyMs(rounds: readonly Round[], share: number): number {
  return quantile(
    rounds.map(({ latenciesMs }) => quantile(latenciesMs, share)),
    0.5,
  );
}

function row(name: string, rounds: readonly Round[]): string[] {
  return [
    name,
    round(quantile(rounds.map(perSecond), 0.5)),
    round(latencyMs(rounds, 0.5)),
    round(latencyMs(rounds, 0.99)),
  ];
}
