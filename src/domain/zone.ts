/**
 * Indonesia's three zones and calendar days in them. None has summer time, so an offset is all there is to a
 * zone; D1 holds the same offsets in a generated column. No clock, no Intl.
 */
export const zones = ["Asia/Jakarta", "Asia/Makassar", "Asia/Jayapura"] as const;
export type Zone = (typeof zones)[number];

const HOUR_MS = 3_600_000;
export const DAY_MS = 24 * HOUR_MS;

const OFFSET_MS: Record<Zone, number> = {
  "Asia/Jakarta": 7 * HOUR_MS,
  "Asia/Makassar": 8 * HOUR_MS,
  "Asia/Jayapura": 9 * HOUR_MS,
};

/** The calendar date at `ms` on a wall in `zone`, `yyyy-mm-dd`. */
export function localDate(ms: number, zone: Zone): string {
  return new Date(ms + OFFSET_MS[zone]).toISOString().slice(0, 10);
}

/** The instant at which the day that holds `ms` began in `zone`. */
export function startOfLocalDayMs(ms: number, zone: Zone): number {
  const wallMs = ms + OFFSET_MS[zone];
  return wallMs - (wallMs % DAY_MS) - OFFSET_MS[zone];
}

/** The day of the month at `ms` in `zone`, 1 to 31. */
export function localDayOfMonth(ms: number, zone: Zone): number {
  return new Date(ms + OFFSET_MS[zone]).getUTCDate();
}

/**
 * 00:00 on `anchorDay` of the month after the one that holds `ms`; on that month's last day when it is shorter.
 * The anchor is passed each time, so that 31 January, 28 February, 31 March follow each other.
 */
export function nextAnniversaryMs(ms: number, anchorDay: number, zone: Zone): number {
  const wall = new Date(ms + OFFSET_MS[zone]);
  const year = wall.getUTCFullYear();
  const month = wall.getUTCMonth() + 1;
  const lastDay = new Date(Date.UTC(year, month + 1, 0)).getUTCDate();
  return Date.UTC(year, month, Math.min(anchorDay, lastDay)) - OFFSET_MS[zone];
}

/** True for a `yyyy-mm-dd` that exists in the calendar. */
export function isCalendarDate(text: string): boolean {
  if (!/^\d{4}-\d{2}-\d{2}$/.test(text)) return false;
  const ms = Date.parse(`${text}T00:00:00Z`);
  return !Number.isNaN(ms) && new Date(ms).toISOString().slice(0, 10) === text;
}
