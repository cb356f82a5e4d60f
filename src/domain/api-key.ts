/**
 * What an API key looks like: 128 random bits as 32 lower-case hex digits, because old clients refuse anything
 * else; also taken with a prefix by which samples and secret scanners know it. A key that begins with 7e57 ("test") is
 * a test key: whoever reads it knows, before any look-up. Holds no key.
 */
import { randomHex, type RandomBytes } from "./id.ts";

export const keyModes = ["live", "test"] as const;
/** What is sent with a test key is checked and answered like any other, and goes nowhere. */
export type KeyMode = (typeof keyModes)[number];

const PREFIX = "kbr_";
const TEST_MARK = "7e57";
const SHOWN_LENGTH = 6;

export function drawApiKey(random: RandomBytes, mode: KeyMode = "live"): string {
  const drawn = randomHex(random, 16);
  if (mode === "test") return TEST_MARK + drawn.slice(TEST_MARK.length);
  // Once in 65,536 draws a live key would look like a test key.
  return modeOfKey(drawn) === "live" ? drawn : drawApiKey(random, mode);
}

/** Of a key without its prefix. */
export function modeOfKey(key: string): KeyMode {
  return key.startsWith(TEST_MARK) ? "test" : "live";
}

/** The key without its prefix, or null for what cannot be one. */
export function parseApiKey(written: string): string | null {
  const text = written.trim();
  const bare = text.startsWith(PREFIX) ? text.slice(PREFIX.length) : text;
  return /^[0-9a-f]{32}$/.test(bare) ? bare : null;
}

/** As much of a key as may be shown in lists and logs. */
export function shownKeyPrefix(key: string): string {
  return key.slice(0, SHOWN_LENGTH);
}
