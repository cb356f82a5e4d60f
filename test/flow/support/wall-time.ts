/** Times as the old API's clients write them, in the zone of a new account (WIB, seven hours ahead of UTC). */
const ZONE_MS = 7 * 3_600_000;

/** The next full second that is not before `notBeforeMs`, as an instant and as it is written. */
export function wallTime(notBeforeMs: number): { atMs: number; written: string } {
  const atMs = Math.ceil(notBeforeMs / 1_000) * 1_000;
  const written = new Date(atMs + ZONE_MS).toISOString().slice(0, 19).replace("T", " ");
  return { atMs, written };
}
