/**
 * How deep a JSON text nests, counted before it is parsed: what walks a parsed value may then recurse. Linear in
 * the length of the text, and no more; refuses to judge whether it is JSON at all.
 */
const DEPTH_MAX = 32;

const QUOTE = 34;
const BACKSLASH = 92;
const OPENING = new Set([91, 123]);
const CLOSING = new Set([93, 125]);

/** True for more objects and arrays inside each other than any request of ours has. */
export function nestsTooDeeply(text: string): boolean {
  let depth = 0;
  let isInString = false;
  for (let index = 0; index < text.length; index += 1) {
    const code = text.charCodeAt(index);
    if (isInString) {
      if (code === BACKSLASH) index += 1;
      else if (code === QUOTE) isInString = false;
    } else if (code === QUOTE) isInString = true;
    else if (CLOSING.has(code)) depth -= 1;
    else if (OPENING.has(code)) {
      depth += 1;
      if (depth > DEPTH_MAX) return true;
    }
  }
  return false;
}
