/** Asks again and again until there is an answer; ends with a sentence when there is none in time. */
import type { Clock } from "../../src/domain/clock.ts";
import { setTimeout as pause } from "node:timers/promises";
import { StartFailure } from "./start-failure.ts";

const INTERVAL_MS = 100;

/** `attempt` answers null for "not yet"; `otherwise` is the sentence said when time is up. */
export async function waitUntil<T>(
  clock: Clock,
  timeoutMs: number,
  otherwise: string,
  attempt: () => Promise<T | null>,
): Promise<T> {
  const deadlineMs = clock() + timeoutMs;
  for (;;) {
    const value = await attempt();
    if (value !== null) return value;
    if (clock() > deadlineMs) throw new StartFailure(otherwise);
    await pause(INTERVAL_MS);
  }
}
