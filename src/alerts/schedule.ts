/**
 * When an alert is told, told again and taken for new: the rules as data and pure functions. No storage, no clock.
 */
import type { ChannelName } from "./interface.ts";

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

/** The wait after the first telling, the second and so on; the last one for ever, until it is acknowledged. */
const REPEAT_AFTER_MS: readonly number[] = [15 * MINUTE_MS, HOUR_MS, 4 * HOUR_MS, DAY_MS];

/** From one digest to the next: however many alerts there are, a mailbox gets six mails an hour at most. */
export const DIGEST_GAP_MS: Record<ChannelName, number> = {
  webhook: 10_000,
  mail: 10 * MINUTE_MS,
};

/** Alerts told in one digest; of the others it says how many there are. */
export const DIGEST_ALERTS_MAX = 20;

/** A digest that a sink does not take for so long is written anew, with what happened since. */
export const DIGEST_STALE_MS = HOUR_MS;

const FAILURE_FIRST_MS = 5_000;
const FAILURE_MAX_MS = 10 * MINUTE_MS;

/** An acknowledged alert that was quiet for so long is news when it comes again. */
const QUIET_MS = 6 * HOUR_MS;
/** And so is one that goes on for ever. */
const ACKNOWLEDGED_MAX_MS = 7 * DAY_MS;

/** Kept after the last occurrence. */
export const KEPT_ACKNOWLEDGED_MS = 30 * DAY_MS;
export const KEPT_OPEN_MS = 90 * DAY_MS;

/** `times`: how often it has been told, this time included. */
export function repeatMs(times: number, nowMs: number): number {
  const last = REPEAT_AFTER_MS.length - 1;
  return nowMs + (REPEAT_AFTER_MS[Math.min(times - 1, last)] ?? DAY_MS);
}

/** When a sink that failed so many times in a row is tried again. `fraction` in [0, 1). */
export function retryMs(failures: number, nowMs: number, fraction: number): number {
  const fullMs = Math.min(FAILURE_MAX_MS, FAILURE_FIRST_MS * 2 ** Math.min(failures - 1, 20));
  return nowMs + Math.ceil(fullMs * (0.5 + fraction / 2));
}

/** Whether an occurrence now opens an alert that was acknowledged. */
export function isNewsAgain(
  alert: { acknowledgedMs: number; lastMs: number },
  nowMs: number,
): boolean {
  return nowMs - alert.lastMs > QUIET_MS || nowMs - alert.acknowledgedMs > ACKNOWLEDGED_MAX_MS;
}
