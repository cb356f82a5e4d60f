/**
 * Numbers of a JSON text as they were written: 12345678901234567890 or 1.50, posted as a number, would read otherwise as
 * a double. Whole numbers that a double carries stay numbers, so that 6.281234567890E+12 is dialled. The work is bounded
 * whatever the text; a reviver that is told each value's source is not.
 */

/** Strings are passed over whole, so that what stands in them is no number. */
const STRING_OR_NUMBER = /"[^"\\]*(?:\\.[^"\\]*)*"|-?\d[\d.eE+-]*/g;
/** A request has seventeen scalars that are read. */
const KEPT_MAX = 100;

/** True for a number that is not what was written. */
export function isInexact(value: unknown): boolean {
  return typeof value === "number" && !Number.isSafeInteger(value);
}

/** The same text, the first such numbers as strings; `json` is known to parse. */
export function withWrittenNumbers(json: string): string {
  let kept = 0;
  let copiedTo = 0;
  let written = "";
  for (const { 0: token, index } of json.matchAll(STRING_OR_NUMBER)) {
    if (token.startsWith('"') || Number.isSafeInteger(Number(token))) continue;
    written += `${json.slice(copiedTo, index)}"${token}"`;
    copiedTo = index + token.length;
    kept += 1;
    if (kept === KEPT_MAX) break;
  }
  return written + json.slice(copiedTo);
}
