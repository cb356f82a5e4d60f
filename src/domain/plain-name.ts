/** Which names people may give to things: what shows as it was written. Refuses what hides or reorders letters. */

/** Control characters, what turns the direction of writing, breaks of lines and paragraphs, halves of characters. */
const NOT_PLAIN = /[\p{Cc}\p{Bidi_Control}\p{Zl}\p{Zp}\p{Cs}]/u;

export function isPlainName(name: string): boolean {
  return !NOT_PLAIN.test(name);
}
