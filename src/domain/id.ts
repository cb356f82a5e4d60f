/**
 * Ids and other random values. The only file that draws randomness. Holds no clock and no I/O.
 *
 * A message id (the old API's `sendingid`) is a positive integer below 10^14, because 32-bit PHP prints
 * larger numbers as 1.2E+15: seconds since 2025-01-01 UTC times 100,000, plus a random part. It stays below
 * 10^14 until 2056. Two requests may draw the same ids; the 128-bit nonce beside them tells whose a row is.
 */
import { hexOf } from "./hex.ts";
import { invariant } from "./result.ts";

const MESSAGE_ID_EPOCH_S = 1_735_689_600;
const MESSAGE_ID_SLOTS_PER_S = 100_000;

/** Fills and returns `byteCount` random bytes. */
export type RandomBytes = (byteCount: number) => Uint8Array;

export const systemRandomBytes: RandomBytes = (byteCount) =>
  crypto.getRandomValues(new Uint8Array(byteCount));

/** A fraction in [0, 1) from 32 random bits; for jitter, never for secrets. */
export function randomFraction(random: RandomBytes): number {
  const bytes = random(4);
  return new DataView(bytes.buffer, bytes.byteOffset, 4).getUint32(0) / 2 ** 32;
}

/** Lower-case hex of `byteCount` random bytes. */
export function randomHex(random: RandomBytes, byteCount: number): string {
  return hexOf(random(byteCount));
}

/** `count` consecutive message ids for one request. */
export function drawMessageIds(nowMs: number, count: number, random: RandomBytes): number[] {
  invariant(count >= 1 && count <= 1_000, "a request holds 1 to 1000 messages");
  const second = Math.floor(nowMs / 1000) - MESSAGE_ID_EPOCH_S;
  const slot = Math.floor(randomFraction(random) * (MESSAGE_ID_SLOTS_PER_S - count));
  return Array.from(
    { length: count },
    (_, index) => second * MESSAGE_ID_SLOTS_PER_S + slot + index,
  );
}

/** The smallest message id that could have been drawn at `nowMs`: ids are a time index. */
export function firstMessageIdAt(nowMs: number): number {
  return Math.max(0, Math.floor(nowMs / 1000) - MESSAGE_ID_EPOCH_S) * MESSAGE_ID_SLOTS_PER_S;
}

/** The second a message id was drawn in, as milliseconds since 1970 UTC. */
export function messageIdTimeMs(id: number): number {
  return (Math.floor(id / MESSAGE_ID_SLOTS_PER_S) + MESSAGE_ID_EPOCH_S) * 1000;
}

const WAID_LETTERS = "ABCDEFGHJKMNPQRSTUVWXYZ23456789";

/** A device's public name: 6 characters of A-Z and 2-9 without I, L and O. */
export function drawWaid(random: RandomBytes): string {
  return Array.from(
    { length: 6 },
    () => WAID_LETTERS[Math.floor(randomFraction(random) * WAID_LETTERS.length)],
  ).join("");
}

/** A WhatsApp message id: 72 random bits behind the prefix that the web client uses. Stored, never derived. */
export function drawWhatsAppId(random: RandomBytes): string {
  return `3EB0${randomHex(random, 9).toUpperCase()}`;
}
