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
  readonly #secret: string;
  readonly #random: RandomBytes;
  #key: CryptoKey | null = null;

  constructor(secretBase64: string, random: RandomBytes) {
    this.#secret = secretBase64;
    this.#random = random;
  }

  async seal(message: MessageRef, text: string): Promise<string> {
    const key = await this.#readyKey();
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
    const key = await this.#readyKey();
    const text = await crypto.subtle.decrypt(
      { name: "AES-GCM", iv: bytes.subarray(0, IV_BYTES), additionalData: boundTo(message) },
      key,
      bytes.subarray(IV_BYTES),
    );
    return new TextDecoder().decode(text);
  }

  /** Keeps the key, never the promise of it: a promise of one request must not be awaited by another. */
  async #readyKey(): Promise<CryptoKey> {
    if (this.#key !== null) return this.#key;
    const secret = await crypto.subtle.importKey("raw", fromBase64(this.#secret), "HKDF", false, [
      "deriveKey",
    ]);
    this.#key = await crypto.subtle.deriveKey(
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
    return this.#key;
  }
}

/** Length-prefixed by JSON, so that no two messages share one form. */
function boundTo(message: MessageRef): Uint8Array {
  return new TextEncoder().encode(JSON.stringify([message.id, message.nonce]));
}
