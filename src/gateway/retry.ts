/** Trying again with growing, jittered pauses until it works or the time is up. Holds no rules about what. */
import type { Clock } from "../domain/clock.ts";
import { randomFraction, type RandomBytes } from "../domain/id.ts";
import { pause } from "../domain/pause.ts";

const FIRST_PAUSE_MS = 250;
const PAUSE_MAX_MS = 5_000;

export interface RetryTools {
  clock: Clock;
  random: RandomBytes;
}

/** Answers false when `totalMs` passed without `attempt` answering true. The first try comes after a pause. */
export async function retryFor(
  totalMs: number,
  { clock, random }: RetryTools,
  attempt: () => Promise<boolean>,
): Promise<boolean> {
  const endMs = clock() + totalMs;
  for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(pauseMs * 2, PAUSE_MAX_MS)) {
    const jitteredMs = pauseMs * (0.5 + randomFraction(random));
    if (clock() + jitteredMs > endMs) return false;
    await pause(jitteredMs);
    if (await attempt()) return true;
  }
}
