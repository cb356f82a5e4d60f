/**
 * One round of load against one Worker: so many connections, each sending its next request when the last one was
 * answered. Every answer is judged by the caller; a round with a wrong answer is no measurement and throws.
 */
import autocannon from "autocannon";
import { systemClock } from "../../src/domain/clock.ts";
import { processorMs } from "./processor-time.ts";

const REQUEST_TIMEOUT_S = 15;

export interface Target {
  url: string;
  path: string;
  /** Leader of the process group that serves it. */
  pid: number;
  /** A body never sent before. */
  nextBody(): string;
  /** Null when the answer is right, else what is wrong with it. */
  fault(status: number, body: string): string | null;
}

export interface Round {
  answers: number;
  elapsedMs: number;
  /** Null where the system does not tell. */
  processorMs: number | null;
  latenciesMs: number[];
}

export async function runRound(
  target: Target,
  connections: number,
  seconds: number,
): Promise<Round> {
  const latenciesMs: number[] = [];
  const faults: string[] = [];
  let lastMs = 0;
  const processorBeforeMs = processorMs(target.pid);
  const startMs = systemClock();
  const result = await autocannon({
    url: target.url,
    connections,
    duration: seconds,
    timeout: REQUEST_TIMEOUT_S,
    setupClient: (client) =>
      client.on("response", (_status, _bytes, ms) => {
        latenciesMs.push(ms);
        lastMs = systemClock();
      }),
    requests: [
      {
        method: "POST",
        path: target.path,
        headers: { "content-type": "application/json" },
        setupRequest: (request) => ({ ...request, body: target.nextBody() }),
        onResponse: (status, body) => {
          const fault = target.fault(status, body);
          if (fault !== null) faults.push(fault);
        },
      },
    ],
  });
  if (result.errors + result.timeouts > 0) faults.push(`${result.errors} connections failed`);
  if (faults.length > 0) throw new Error(`${faults.length} wrong answers, first: ${faults[0]}`);
  const processorAfterMs = processorMs(target.pid);
  return {
    answers: latenciesMs.length,
    elapsedMs: lastMs - startMs,
    processorMs:
      processorBeforeMs === null || processorAfterMs === null
        ? null
        : processorAfterMs - processorBeforeMs,
    latenciesMs,
  };
}

export function perSecond(round: Round): number {
  return (round.answers * 1000) / round.elapsedMs;
}

/** The value that `share` of all values do not exceed. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] ?? Number.NaN;
}
