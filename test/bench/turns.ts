/** Rounds of load on several targets in turns, so that what the machine does meanwhile meets all of them. Judges nothing. */
import { quantile, perSecond, runRound } from "./load.ts";
import type { Round, Target } from "./load.ts";

/** One warming round each, then `rounds` each; none is always the first. */
export async function inTurns(
  targets: readonly Target[],
  connections: number,
  { rounds, seconds }: { rounds: number; seconds: number },
): Promise<Round[][]> {
  const measured: Round[][] = targets.map(() => []);
  for (const target of targets) await runRound(target, connections, 1);
  for (let count = 0; count < rounds; count += 1) {
    const order = [...targets.entries()];
    for (const [at, target] of count % 2 === 0 ? order : order.toReversed()) {
      measured[at]?.push(await runRound(target, connections, seconds));
    }
  }
  return measured;
}

/** Median of the rounds: one that the machine disturbed does not count. */
export function medianPace(rounds: readonly Round[]): number {
  return quantile(rounds.map(perSecond), 0.5);
}

/** NaN where the system does not tell. */
export function medianProcessorMs(rounds: readonly Round[]): number {
  const each = rounds.map(({ processorMs, answers }) => (processorMs ?? Number.NaN) / answers);
  return quantile(each, 0.5);
}

export function latencyMs(rounds: readonly Round[], share: number): number {
  return quantile(
    rounds.flatMap((measured) => measured.latenciesMs),
    share,
  );
}
