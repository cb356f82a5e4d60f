/**
 * A message's text: what the old API's encodings turn into, how long it is, and what is compared to find texts
 * that are "the same". No I/O. It refuses to guess beyond the rules: a text is decoded at most once.
 */

/** How a key's clients write texts. `auto` decodes only what can hardly be anything but url-encoder output. */
export const textEncodings = ["auto", "plain", "urlencoded"] as const;
export type TextEncoding = (typeof textEncodings)[number];

export const TEXT_LENGTH_MIN = 10;
/** The ceiling of an account may be lower, never higher. */
export const TEXT_LENGTH_MAX = 1_000;

/** The readings of one text; which of them counts depends on the key's setting. */
export interface TextReadings {
  plain: string;
  /** Null when it is no url-encoded text at all. */
  decoded: string | null;
  /** What `auto` takes. */
  auto: "plain" | "decoded";
}

/**
 * A character has up to four bytes in UTF-8, eight when utf8_encode was run on them, and a url encoder writes three
 * characters for each. What is longer is too long however it is read.
 */
const WRITTEN_LENGTH_MAX = 24 * TEXT_LENGTH_MAX;

/** What a url encoder leaves: its safe characters, `+`, and well-formed escapes. */
const URL_ENCODED = /^(?:[A-Za-z0-9\-_.~*!'()+]|%[0-9A-Fa-f]{2})+$/;

export function readText(written: string): TextReadings {
  const plain = tidy(written);
  if (plain.length > WRITTEN_LENGTH_MAX) return { plain, decoded: null, auto: "plain" };
  const decoded = decodeUrlEncoded(written);
  const looksEncoded = decoded !== null && URL_ENCODED.test(written) && /[+%]/.test(written);
  return {
    plain,
    decoded: decoded === null ? null : tidy(repairMojibake(decoded)),
    auto: looksEncoded ? "decoded" : "plain",
  };
}

/** A text of a caller that never encodes: all readings are the text itself. */
export function asWritten(written: string): TextReadings {
  const plain = tidy(written);
  return { plain, decoded: plain, auto: "plain" };
}

/** Unicode code points, as the price list counts characters. Of more than may be sent: one more than that. */
export function textLength(text: string): number {
  let count = 0;
  for (const _ of text) {
    count += 1;
    if (count > TEXT_LENGTH_MAX) break;
  }
  return count;
}

/** True when no key takes it, whatever its setting and its account's ceiling: that need not be asked. */
export function fitsNoKey({ plain, decoded }: TextReadings): boolean {
  const isDifferent = decoded !== null && decoded !== plain;
  return !isSendable(plain) && !(isDifferent && isSendable(decoded));
}

function isSendable(text: string): boolean {
  const length = textLength(text);
  return length >= TEXT_LENGTH_MIN && length <= TEXT_LENGTH_MAX && isCarriable(text);
}

/** False for what cannot be carried: half a surrogate pair, or a NUL. */
export function isCarriable(text: string): boolean {
  return text.isWellFormed() && !text.includes("\0");
}

function tidy(text: string): string {
  return text.replace(/\r\n?/g, "\n").trim();
}

function decodeUrlEncoded(written: string): string | null {
  try {
    return decodeURIComponent(written.replaceAll("+", " "));
  } catch {
    // Not well-formed escapes, or not UTF-8 behind them: then it is not url-encoded.
    return null;
  }
}

/**
 * PHP's utf8_encode on a text that was UTF-8 already turns each byte into a character. When all characters are
 * bytes and the bytes are UTF-8 again, that is what happened.
 */
function repairMojibake(text: string): string {
  if (!/[\u0080-\u00ff]/.test(text) || /[^\u0000-\u00ff]/.test(text)) return text;
  const bytes = Uint8Array.from(text, (character) => character.charCodeAt(0));
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    // The bytes are no UTF-8: the text really is written in these characters.
    return text;
  }
}

/** Cyrillic and Greek letters, each with the Latin one it looks like. */
const LOOK_ALIKES = new Map<string, string>(
  "аa еe оo рp сc уy хx іi јj ѕs ԁd һh кk мm тt вb нh αa οo νv ρp τt κk ιi εe"
    .split(" ")
    .map((pair) => [pair.slice(0, 1), pair.slice(1)]),
);

/** The text without what a sender may vary to make equal texts look different: case, spaces, invisible marks. */
export function normalisedText(text: string): string {
  const folded = text
    .normalize("NFKC")
    .toLowerCase()
    .replace(/\p{Cf}|\p{Mn}/gu, "")
    .replace(/\s+/gu, " ")
    .trim();
  return Array.from(folded, (letter) => LOOK_ALIKES.get(letter) ?? letter).join("");
}
