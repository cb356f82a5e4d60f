/**
 * Accepted sends a second of the real Worker beside the floor, in interleaved rounds. The device was paired and its
 * host stopped, so that nothing but accepting runs: each text ends in D1 and in the device's outbox.
 */
import { demand } from "../../session-host/local/demo.ts";
import { startStack } from "../flow/support/stack.ts";
import type { Customer, Stack } from "../flow/support/stack.ts";
import { countWrites, messageD1Rows } from "./counts.ts";
import { nextRecipient, nextText, richCustomer, sendTarget } from "./customers.ts";
import { startFloor } from "./floor.ts";
import type { RowCounts } from "./floor.ts";
import { perSecond, quantile, runRound } from "./load.ts";
import type { Round, Target } from "./load.ts";
import type { Options } from "./options.ts";
import { round } from "./report.ts";
import type { Section } from "./report.ts";

const CONNECTIONS = [1, 8, 32];
const SHARE_OF_FLOOR = 0.8;
/** Sends of one account wait for each other; a firm has many. */
const OTHERS = 9;

export async function benchAccept(options: Options): Promise<Section> {
  const written = await writesOfOneSend();
  await using stack = await startStack();
  const customer = await richCustomer(stack, "6281234567001");
  const others: Customer[] = [];
  for (let other = 1; other <= OTHERS; other += 1) {
    others.push(await richCustomer(stack, `628123456710${other}`));
  }
  await stopHost(stack, customer);
  await using floor = await startFloor();
  const onFloor = await floor.countRows(nextText());
  if (rowsIn(onFloor) !== rowsIn(written)) {
    throw new Error(`the floor writes ${rowsIn(onFloor)}, a send ${rowsIn(written)}`);
  }
  const real = sendTarget(stack, customer, ...others);
  const bare = floor.target(nextText);
  const rows: string[][] = [];
  const goals: Section["goals"] = [];
  for (const connections of CONNECTIONS) {
    const measured = await interleaved(real, bare, connections, options);
    const ratio = pace(measured.real) / pace(measured.bare);
    rows.push(
      resultRow("accepted sends", connections, measured.real, round(ratio)),
      resultRow("floor", connections, measured.bare, ""),
    );
    goals.push({
      what: `accepted sends beside the floor, ${connections} connections,`,
      value: ratio,
      atLeast: SHARE_OF_FLOOR,
    });
  }
  return {
    title: "Accepting",
    notes: [
      "Both Workers built as for a deploy and run by workerd directly; their rounds take turns.",
      `The devices of ${1 + OTHERS} accounts are paired, their host stopped: accepting alone is measured. Every answer is checked to be an acceptance.`,
      `The floor: one D1 batch of four plain statements and one object call. Rows written for a request: real ${rowsIn(written)}; floor ${rowsIn(onFloor)}.`,
    ],
    columns: ["", "connections", "requests/s", "p50 ms", "p99 ms", "CPU ms", "of floor"],
    rows,
    goals,
  };
}

const rowsIn = (rows: RowCounts): string =>
  `${rows.d1Rows} in D1, ${rows.objectRows} in the object`;

/** From a Worker with counters, which is not the one that is timed. */
async function writesOfOneSend(): Promise<RowCounts> {
  await using stack = await startStack({ entry: "test/bench/counting-worker.ts" });
  const customer = await richCustomer(stack, "6281234567001");
  await stopHost(stack, customer);
  const { apiKey, waid } = customer;
  const sendTen = async (): Promise<void> => {
    for (let sent = 0; sent < 10; sent += 1) {
      demand(await stack.product.send(apiKey, waid, nextRecipient(), nextText()), "send a text");
    }
  };
  // The first one finds a device that has never had any.
  await sendTen();
  const counts = await countWrites(stack, 10, sendTen);
  return { d1Rows: messageD1Rows(counts), objectRows: counts.objectRows + counts.alarms };
}

export async function stopHost(stack: Stack, customer: Customer): Promise<void> {
  await stack.hosts[0]?.terminate();
  await stack.until("the device to miss its host", async () => {
    const device = await stack.product.device(customer.apiKey, customer.waid);
    return device.ok && device.value.status === "reconnecting" ? true : null;
  });
}

interface Measured {
  real: Round[];
  bare: Round[];
}

async function interleaved(
  real: Target,
  bare: Target,
  connections: number,
  { acceptRounds, acceptSeconds }: Options,
): Promise<Measured> {
  const measured: Measured = { real: [], bare: [] };
  await runRound(real, connections, 1);
  await runRound(bare, connections, 1);
  for (let count = 0; count < acceptRounds; count += 1) {
    // Neither is always the first.
    const first = count % 2 === 0 ? "real" : "bare";
    for (const which of [first, first === "real" ? "bare" : "real"] as const) {
      const target = which === "real" ? real : bare;
      measured[which].push(await runRound(target, connections, acceptSeconds));
    }
  }
  return measured;
}

/** Median of the rounds: one that the machine disturbed does not count. */
function pace(rounds: readonly Round[]): number {
  return quantile(rounds.map(perSecond), 0.5);
}

/** NaN where the system does not tell. */
function processorPerRequest({ processorMs, answers }: Round): number {
  return (processorMs ?? Number.NaN) / answers;
}

function resultRow(
  name: string,
  connections: number,
  rounds: readonly Round[],
  ratio: string,
): string[] {
  const latenciesMs = rounds.flatMap((measured) => measured.latenciesMs);
  return [
    name,
    String(connections),
    round(pace(rounds)),
    round(quantile(latenciesMs, 0.5)),
    round(quantile(latenciesMs, 0.99)),
    round(quantile(rounds.map(processorPerRequest), 0.5)),
    ratio,
  ];
}
