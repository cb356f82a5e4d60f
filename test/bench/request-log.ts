/**
 * What the request log costs an accepted send: the Worker as it is beside the same one without the log, in turns. Each
 * has a device of its own, paired, its host stopped.
 */
import { startStack } from "../flow/support/stack.ts";
import { stopHost } from "./accept.ts";
import { richCustomer, sendTarget } from "./customers.ts";
import type { Target } from "./load.ts";
import type { Options } from "./options.ts";
import { round } from "./report.ts";
import type { Section } from "./report.ts";
import { inTurns, latencyMs, medianPace, medianProcessorMs } from "./turns.ts";

const CONNECTIONS = [1, 8, 32];
const PACE_MIN = 0.9;

export async function benchRequestLog({ acceptRounds, acceptSeconds }: Options): Promise<Section> {
  await using logged = await startStack();
  await using unlogged = await startStack({ entry: "test/bench/unlogged-worker.ts" });
  const targets: Target[] = [];
  for (const stack of [logged, unlogged]) {
    const customer = await richCustomer(stack, "6281234567001");
    await stopHost(stack, customer);
    targets.push(sendTarget(stack, customer));
  }
  const rows: string[][] = [];
  const goals: Section["goals"] = [];
  for (const connections of CONNECTIONS) {
    const length = { rounds: acceptRounds, seconds: acceptSeconds };
    const [on = [], off = []] = await inTurns(targets, connections, length);
    const ratio = medianPace(on) / medianPace(off);
    for (const [name, rounds] of [["with its log", on] as const, ["without", off] as const]) {
      rows.push([
        name,
        String(connections),
        round(medianPace(rounds)),
        round(latencyMs(rounds, 0.5)),
        round(latencyMs(rounds, 0.99)),
        round(medianProcessorMs(rounds)),
        name === "without" ? "" : round(ratio),
      ]);
    }
    goals.push({
      what: `accepted sends with the log beside without, ${connections} connections,`,
      value: ratio,
      atLeast: PACE_MIN,
    });
  }
  return {
    title: "The request log",
    notes: ["Accepted sends, one text each, of the Worker as it is and of one that writes no log."],
    columns: ["", "connections", "requests/s", "p50 ms", "p99 ms", "CPU ms", "of without"],
    rows,
    goals,
  };
}
