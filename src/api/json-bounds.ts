/**
 * What a JSON text may be built like, looked at before it is parsed: how deep it nests, so that what walks the parsed
 * value may recurse, and how many names an object has, because each new one costs memory that stays until the next full
 * garbage collection, which everybody waits for. Linear in the length of the text; refuses to judge whether it is JSON.
 */
const DEPTH_MAX = 32;
/** No request of ours has an object of twenty. */
const NAMES_MAX = 200;

const QUOTE = 34;
const BACKSLASH = 92;
const COLON = 58;
const OPENING = new Set([91, 123]);
const CLOSING = new Set([93, 125]);

/** True for more objects and arrays inside each other, or more names in one object, than any request of ours has. */
export function isOverbuilt(text: string): boolean {
  const names = Array.from({ length: DEPTH_MAX + 1 }, () => 0);
  let depth = 0;
  let isInString = false;
  for (let index = 0; index < text.length; index += 1) {
    const code = text.charCodeAt(index);
    if (isInString) {
      if (code === BACKSLASH) index += 1;
      else if (code === QUOTE) isInString = false;
    } else if (code === QUOTE) isInString = true;
    else if (code === COLON) {
      const count = (names[depth] ?? 0) + 1;
      if (count > NAMES_MAX) return true;
      names[depth] = count;
    } else if (CLOSING.has(code)) {
      depth -= 1;
      // More closed than opened: no JSON, and nothing to count in.
      if (depth < 0) return false;
    } else if (OPENING.has(code)) {
      depth += 1;
      if (depth > DEPTH_MAX) return true;
      names[depth] = 0;
    }
  }
  return false;
}
