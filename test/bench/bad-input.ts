/**
 * What bad input does to good sends, all at fixed rates and in turns: the good ones alone, beside bad input, and, for
 * comparison, beside as many more good ones, which share their batches. And what a bad request of each kind costs, beside an
 * accepted send. The device was paired and its host stopped, as for the accept path itself.
 */
import { startStack } from "../flow/support/stack.ts";
import type { Customer, Stack } from "../flow/support/stack.ts";
import { stopHost } from "./accept.ts";
import { badRequests } from "./bad-requests.ts";
import { bodyOf, isAccepted, richCustomer } from "./customers.ts";
import { quantile } from "./load.ts";
import { offer } from "./open-loop.ts";
import type { Answered, Shot, Stream } from "./open-loop.ts";
import type { Options } from "./options.ts";
import { processorMs } from "./processor-time.ts";
import { round } from "./report.ts";
import type { Section } from "./report.ts";
import { OLD_SEND_PATH } from "../../session-host/local/product.ts";

const GOOD_PER_SECOND = 20;
const BESIDE_PER_SECOND = 60;
const GOOD = "accepted send";
const MEDIAN_BESIDE_BAD_MAX = 1.3;
const P99_BESIDE_BAD_MAX = 2;
const COST_MAX = 2;

type Condition = "alone" | "beside bad" | "beside good";
const ROUND: readonly Condition[] = ["alone", "beside bad", "beside good"];

interface Cost {
  p99Ms: number;
  processorMs: number;
}

export async function benchBadInput({ badRounds, badSeconds }: Options): Promise<Section> {
  await using stack = await startStack({ vars: { KEY_REQUESTS_PER_MINUTE: "1000000" } });
  const customer = await richCustomer(stack, "6281234567001");
  await stopHost(stack, customer);
  const kinds = namedKinds(customer);
  const good = { perSecond: GOOD_PER_SECOND, next: () => goodSend(customer, GOOD) };
  const more = { perSecond: BESIDE_PER_SECOND, next: () => goodSend(customer, "one more") };
  const bad = { perSecond: BESIDE_PER_SECOND, next: inTurn(kinds) };
  const streams = { alone: [good], "beside bad": [good, bad], "beside good": [good, more] };
  await offer(stack.url, [good, bad], badSeconds);
  const answered: Record<Condition, Answered[][]> = {
    alone: [],
    "beside bad": [],
    "beside good": [],
  };
  for (let count = 0; count < badRounds; count += 1) {
    // None is always the first.
    const order = count % 2 === 0 ? ROUND : ROUND.toReversed();
    for (const condition of order) {
      answered[condition].push(await offer(stack.url, streams[condition], badSeconds));
    }
  }
  const costs = await costOfEach(stack, new Map([[GOOD, good.next], ...kinds]), badSeconds);
  return section(answered, costs);
}

function goodSend(customer: Customer, kind: string): Shot {
  return {
    kind,
    method: "POST",
    path: OLD_SEND_PATH,
    headers: { "content-type": "application/json" },
    body: bodyOf(customer, ""),
    isRight: (status, body) => status === 200 && isAccepted(body),
  };
}

function namedKinds(customer: Customer): Map<string, () => Shot> {
  const kinds = [...badRequests(customer)];
  return new Map(kinds.map(([kind, next]) => [kind, () => ({ ...next(), kind })]));
}

function inTurn(kinds: ReadonlyMap<string, () => Shot>): () => Shot {
  const all = [...kinds.values()];
  let turn = 0;
  return () => {
    const next = all[turn % all.length];
    turn += 1;
    if (next === undefined) throw new Error("there are no kinds");
    return next();
  };
}

async function costOfEach(
  stack: Stack,
  kinds: ReadonlyMap<string, Stream["next"]>,
  seconds: number,
): Promise<Map<string, Cost>> {
  const idlePerMs = await idleProcessor(stack, seconds);
  const costs = new Map<string, Cost>();
  for (const [kind, next] of kinds) {
    const stream = { perSecond: BESIDE_PER_SECOND, next };
    await offer(stack.url, [stream], 0.2);
    const beforeMs = processorMs(stack.worker.pid) ?? Number.NaN;
    const startMs = performance.now();
    const answered = await offer(stack.url, [stream], seconds);
    const spentMs = (processorMs(stack.worker.pid) ?? Number.NaN) - beforeMs;
    const idleMs = idlePerMs * (performance.now() - startMs);
    costs.set(kind, {
      p99Ms: latency(answered, 0.99),
      processorMs: (spentMs - idleMs) / answered.length,
    });
  }
  return costs;
}

async function idleProcessor(stack: Stack, seconds: number): Promise<number> {
  const beforeMs = processorMs(stack.worker.pid) ?? Number.NaN;
  await new Promise((resolve) => setTimeout(resolve, seconds * 1_000));
  return ((processorMs(stack.worker.pid) ?? Number.NaN) - beforeMs) / (seconds * 1_000);
}

function latency(answered: readonly Answered[], share: number): number {
  return quantile(
    answered.map(({ latencyMs }) => latencyMs),
    share,
  );
}

/** The median of the rounds: one that the machine disturbed does not count. */
function medianLatency(rounds: readonly Answered[][], share: number): number {
  return quantile(
    rounds.map((answered) => latency(answered, share)),
    0.5,
  );
}

function section(
  answered: Record<Condition, Answered[][]>,
  costs: ReadonlyMap<string, Cost>,
): Section {
  const goodOnes = (condition: Condition): Answered[][] =>
    answered[condition].map((all) => all.filter(({ kind }) => kind === GOOD));
  const besideBad = (share: number): number =>
    medianLatency(goodOnes("beside bad"), share) / medianLatency(goodOnes("alone"), share);
  const byKind = Map.groupBy(answered["beside bad"].flat(), ({ kind }) => kind);
  const own = costs.get(GOOD);
  const bad = [...costs].filter(([kind]) => kind !== GOOD);
  const [dearest] = bad.toSorted(([, one], [, other]) => other.processorMs - one.processorMs);
  const row = (name: string, rounds: Answered[][], cost: Cost | undefined): string[] => [
    name,
    String(rounds.flat().length),
    round(medianLatency(rounds, 0.5)),
    round(medianLatency(rounds, 0.99)),
    round(latency(rounds.flat(), 0.99)),
    round(cost?.p99Ms ?? Number.NaN),
    round(cost?.processorMs ?? Number.NaN),
  ];
  return {
    title: "Bad input",
    notes: [
      `Good sends at ${GOOD_PER_SECOND}/s: alone, beside ${BESIDE_PER_SECOND}/s of bad input, and beside ${BESIDE_PER_SECOND}/s more of good ones, in turns; latencies from the moment each request was due; of good ones the median of the rounds.`,
      `The last two columns: each kind by itself at ${BESIDE_PER_SECOND}/s, processor time less that of an idle Worker.`,
    ],
    columns: [
      "",
      "requests",
      "p50 ms",
      "p99 ms",
      "p99 ms, all rounds",
      "p99 ms by itself",
      "CPU ms by itself",
    ],
    rows: [
      row("good sends alone", goodOnes("alone"), own),
      row("good sends beside bad input", goodOnes("beside bad"), undefined),
      row("good sends beside more of them", goodOnes("beside good"), undefined),
      ...bad.map(([kind, cost]) => row(kind, [byKind.get(kind) ?? []], cost)),
    ],
    goals: [
      {
        what: "p50 of good sends beside bad input, of that alone,",
        value: besideBad(0.5),
        atMost: MEDIAN_BESIDE_BAD_MAX,
      },
      {
        what: "p99 of good sends beside bad input, of that alone,",
        value: besideBad(0.99),
        atMost: P99_BESIDE_BAD_MAX,
      },
      {
        what: `processor time of the dearest bad request (${dearest?.[0] ?? ""}), of an accepted send's,`,
        value: (dearest?.[1].processorMs ?? Number.NaN) / (own?.processorMs ?? Number.NaN),
        atMost: COST_MAX,
      },
    ],
  };
}
