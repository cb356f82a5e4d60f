/**
 * Tickets and resume tokens: 32 random bytes, known here only by their SHA-256. Compared in constant time.
 */
import type { RandomBytes } from "../domain/id.ts";
import { randomHex } from "../domain/id.ts";

const SECRET_BYTES = 32;

export interface Secret {
  secret: string;
  hash: string;
}

export async function drawSecret(random: RandomBytes): Promise<Secret> {
  const secret = randomHex(random, SECRET_BYTES);
  return { secret, hash: await hashOf(secret) };
}

export async function hashOf(secret: string): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(secret));
  return Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

export function sameHash(a: string, b: string): boolean {
  const [left, right] = [new TextEncoder().encode(a), new TextEncoder().encode(b)];
  return left.length === right.length && crypto.subtle.timingSafeEqual(left, right);
}
