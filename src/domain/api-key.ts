/**
 * What an API key looks like: 128 random bits as 32 lower-case hex digits, because old clients refuse anything
 * else; also taken with a prefix by which samples and secret scanners know it. Holds no key.
 */
import { randomHex, type RandomBytes } from "./id.ts";

const PREFIX = "kbr_";
const SHOWN_LENGTH = 6;

export function drawApiKey(random: RandomBytes): string {
  return randomHex(random, 16);
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
