/**
 * One question to D1 with an end to waiting, through the seam that every call to D1 passes. The accepting batch and the
 * ends of messages keep deadlines of their own (gateway/decide.ts, device/flush.ts); everything else asks here, and a
 * test holds that. docs/limits.md has a row for each question.
 */
import { cross } from "../domain/crossing.ts";
import { withDeadline } from "../domain/deadline.ts";
import { randomFraction, systemRandomBytes } from "../domain/id.ts";
import { pause } from "../domain/pause.ts";

const TIMEOUT_MS = 10_000;
const PAUSE_MIN_MS = 50;
const PAUSE_MAX_MS = 200;

/** What the statement itself is told, whenever it is asked. */
const LASTING = /SQLITE_(?:CONSTRAINT|ERROR|MISMATCH|TOOBIG|RANGE)/;

/**
 * For reads, and for writes that say the same when they are asked again: after an error, not after silence, it is asked
 * once more. `name` is static. Throws `DeadlinePassed` when D1 is silent; the statement may still take effect.
 */
export function askD1<T>(name: string, call: () => Promise<T>): Promise<T> {
  return withDeadline(twice(name, call), TIMEOUT_MS);
}

/** For writes that would do more when they are asked again: who called decides what an error means. */
export function askD1Once<T>(name: string, call: () => Promise<T>): Promise<T> {
  return withDeadline(cross("d1", name, call), TIMEOUT_MS);
}

async function twice<T>(name: string, call: () => Promise<T>): Promise<T> {
  try {
    return await cross("d1", name, call);
  } catch (error) {
    if (error instanceof Error && LASTING.test(error.message)) throw error;
    const pauseMs =
      PAUSE_MIN_MS + randomFraction(systemRandomBytes) * (PAUSE_MAX_MS - PAUSE_MIN_MS);
    await pause(pauseMs);
    return cross("d1", name, call);
  }
}
