/**
 * How a host proves itself: its token, compared by hash in constant time, and its seal key, proved by an Ed25519
 * signature over a fresh challenge. Pure but for WebCrypto; keeps nothing and logs nothing.
 */
import { sealProofText } from "../bridge/control-frames.ts";

const encoder = new TextEncoder();

/** SHA-256 in lower-case hex: the only form in which a token is kept. */
export async function tokenHashOf(token: string): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-256", encoder.encode(token));
  return Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** The one whose hash equals `tokenHash`. Compares with all of them, each in constant time. */
export function findByTokenHash<T extends { tokenHash: string }>(
  holders: readonly T[],
  tokenHash: string,
): T | null {
  const wanted = encoder.encode(tokenHash);
  let found: T | null = null;
  for (const holder of holders) {
    const held = encoder.encode(holder.tokenHash);
    const equal =
      held.byteLength === wanted.byteLength && crypto.subtle.timingSafeEqual(held, wanted);
    if (equal) found = holder;
  }
  return found;
}

/** What a host must sign next; single use. */
export function challengeFrom(randomBytes: Uint8Array): string {
  return btoa(String.fromCharCode(...randomBytes))
    .replaceAll("+", "-")
    .replaceAll("/", "_")
    .replaceAll("=", "");
}

/** True when `signature` (base64) over boot and challenge verifies under `publicKey` (base64, raw Ed25519). */
export async function isSealProof(
  publicKey: string,
  boot: { bootId: string; nonce: string },
  signature: string,
): Promise<boolean> {
  const signatureBytes = fromBase64(signature);
  const keyBytes = fromBase64(publicKey);
  if (signatureBytes?.byteLength !== 64 || keyBytes?.byteLength !== 32) return false;
  const key = await crypto.subtle.importKey("raw", keyBytes, { name: "Ed25519" }, false, [
    "verify",
  ]);
  const text = encoder.encode(sealProofText(boot.bootId, boot.nonce));
  return crypto.subtle.verify({ name: "Ed25519" }, key, signatureBytes, text);
}

function fromBase64(text: string): Uint8Array | null {
  if (!/^[A-Za-z0-9+/]+={0,2}$/.test(text) || text.length % 4 !== 0) return null;
  return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
}
