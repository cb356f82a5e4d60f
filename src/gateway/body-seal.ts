/**
 * Seals a message's text for the short time D1 holds it: until the device has it. D1 keeps deleted rows for thirty
 * days, so they must be worth nothing without the Worker's secret. Each seal is bound to its message's id and
 * nonce. Never logs; a seal that does not open is an error of ours or of an attacker, and throws.
 */
import type { RandomBytes } from "../domain/id.ts";
import { invariant } from "../domain/result.ts";
import { fromBase64, toBase64 } from "./base64.ts";

/** Says how the rest is sealed. */
const VERSION = "1.";
const IV_BYTES = 12;

export interface MessageRef {
  id: number;
  nonce: string;
}

export class BodySeal {
  readonly #secrets: readonly string[];
  readonly #random: RandomBytes;
  /** Keys, never promises of them: a promise of one request must not be awaited by another. */
  #keys: CryptoKey[] | null = null;

  /** Each secret is 32 bytes in base64; the first seals, all open. */
  constructor(secrets: readonly string[], random: RandomBytes) {
    this.#secrets = secrets;
    this.#random = random;
  }

  async seal(message: MessageRef, text: string): Promise<string> {
    const [key] = await this.#readyKeys();
    invariant(key !== undefined, "there is a key to seal with");
    const iv = new Uint8Array(this.#random(IV_BYTES));
    const sealed = await crypto.subtle.encrypt(
      { name: "AES-GCM", iv, additionalData: boundTo(message) },
      key,
      new TextEncoder().encode(text),
    );
    const bytes = new Uint8Array(IV_BYTES + sealed.byteLength);
    bytes.set(iv);
    bytes.set(new Uint8Array(sealed), IV_BYTES);
    return VERSION + toBase64(bytes);
  }

  async open(message: MessageRef, sealed: string): Promise<string> {
    invariant(sealed.startsWith(VERSION), "a sealed body has a known version");
    const bytes = fromBase64(sealed.slice(VERSION.length));
    const keys = await this.#readyKeys();
    for (const [index, key] of keys.entries()) {
      try {
        return await openWith(key, message, bytes);
      } catch (error) {
        // Sealed with another of the secrets, perhaps.
        if (index === keys.length - 1) throw error;
      }
    }
    throw new Error("invariant broken: there is a key to open with");
  }

  async #readyKeys(): Promise<CryptoKey[]> {
    this.#keys ??= await Promise.all(this.#secrets.map(derivedKey));
    return this.#keys;
  }
}

async function openWith(key: CryptoKey, message: MessageRef, bytes: Uint8Array): Promise<string> {
  const text = await crypto.subtle.decrypt(
    { name: "AES-GCM", iv: bytes.subarray(0, IV_BYTES), additionalData: boundTo(message) },
    key,
    bytes.subarray(IV_BYTES),
  );
  return new TextDecoder().decode(text);
}

async function derivedKey(secretBase64: string): Promise<CryptoKey> {
  const secret = await crypto.subtle.importKey("raw", fromBase64(secretBase64), "HKDF", false, [
    "deriveKey",
  ]);
  return crypto.subtle.deriveKey(
    {
      name: "HKDF",
      hash: "SHA-256",
      salt: new Uint8Array(),
      info: new TextEncoder().encode("kabar message body v1"),
    },
    secret,
    { name: "AES-GCM", length: 256 },
    false,
    ["encrypt", "decrypt"],
  );
}

/** Length-prefixed by JSON, so that no two messages share one form. */
function boundTo(message: MessageRef): Uint8Array {
  return new TextEncoder().encode(JSON.stringify([message.id, message.nonce]));
}
