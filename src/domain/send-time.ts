/**
 * When a message is to leave, as the old API writes it: a wall time without a zone. The account's zone, known
 * only to D1, turns it into an instant. No clock: whether a time is past is judged where the zone is known.
 */
import type { Result } from "./result.ts";
import { err, ok } from "./result.ts";
import { isCalendarDate } from "./zone.ts";

/** `wall`: the milliseconds since 1970 that a clock in UTC would show at that wall time. */
export type SendTime =
  | { kind: "now" }
  | { kind: "wall"; wallMs: number }
  | { kind: "at"; atMs: number };

/** How far ahead a message may be scheduled. */
export const SCHEDULE_AHEAD_MAX_MS = 366 * 86_400_000;

const WALL_TIME = /^(\d{4}-\d{2}-\d{2})[T ](\d{2})[:-](\d{2})(?:[:-](\d{2}))?$/;

export function parseWallTime(written: string): Result<SendTime, "impossible"> {
  const text = written.trim();
  if (text === "") return ok({ kind: "now" });
  const [, date, hour, minute, second = "00"] = WALL_TIME.exec(text) ?? [];
  if (date === undefined || hour === undefined || minute === undefined) return err("impossible");
  if (!isCalendarDate(date)) return err("impossible");
  if (Number(hour) > 23 || Number(minute) > 59 || Number(second) > 59) return err("impossible");
  return ok({ kind: "wall", wallMs: Date.parse(`${date}T${hour}:${minute}:${second}Z`) });
}
