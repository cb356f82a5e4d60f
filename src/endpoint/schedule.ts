/**
 * When a failed attempt is repeated: the schedule as data, and what a receiver may ask for instead. Pure: time and
 * chance are handed in. Knows nothing of events and storage.
 */
const SECOND_MS = 1_000;
const MINUTE_MS = 60 * SECOND_MS;
const HOUR_MS = 60 * MINUTE_MS;

/** The wait before each attempt, counted from the end of the one before: ten attempts in a little over three days. */
export const ATTEMPT_DELAYS_MS: readonly number[] = [
  0,
  5 * SECOND_MS,
  5 * MINUTE_MS,
  30 * MINUTE_MS,
  2 * HOUR_MS,
  5 * HOUR_MS,
  10 * HOUR_MS,
  14 * HOUR_MS,
  20 * HOUR_MS,
  24 * HOUR_MS,
];

/** Never earlier than the schedule says, at most this share later, so that receivers are not hit in step. */
const JITTER_SHARE = 0.1;
const RETRY_AFTER_MAX_MS = 24 * HOUR_MS;

/** When to try again after `attemptsDone` attempts; null when that was the last. */
export function nextAttemptMs(
  attemptsDone: number,
  nowMs: number,
  retryAfterMs: number | null,
  fraction: number,
): number | null {
  const delayMs = ATTEMPT_DELAYS_MS[attemptsDone];
  if (delayMs === undefined) return null;
  const jitteredMs = Math.ceil(delayMs * (1 + JITTER_SHARE * fraction));
  return nowMs + Math.max(jitteredMs, retryAfterMs ?? 0);
}

/** How long a Retry-After header asks to wait, bounded; null when there is none that can be read. */
export function readRetryAfter(header: string | null, nowMs: number): number | null {
  const text = header?.trim() ?? "";
  if (text === "") return null;
  // Date.parse alone reads nearly anything as some date.
  const isDate = /^[A-Z][a-z]{2,8},? /.test(text);
  const waitMs = /^\d{1,9}$/.test(text)
    ? Number(text) * SECOND_MS
    : (isDate ? Date.parse(text) : Number.NaN) - nowMs;
  return Number.isFinite(waitMs) ? Math.min(Math.max(waitMs, 0), RETRY_AFTER_MAX_MS) : null;
}
