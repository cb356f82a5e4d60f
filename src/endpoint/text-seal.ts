/**
 * Seals what texts of people are kept here: SQLite leaves what it deletes on the disk for a while, so it must be worth
 * nothing without the Worker's secret. Each seal is bound to the endpoint and to what it is for. Never logs.
 */
import type { RandomBytes } from "../domain/id.ts";

const IV_BYTES = 12;

export class TextSeal {
  readonly #secret: string;
  readonly #endpointId: string;
  readonly #random: RandomBytes;
  #key: CryptoKey | null = null;

  /** `secret` is 32 bytes in base64. */
  constructor(secret: string, endpointId: string, random: RandomBytes) {
    this.#secret = secret;
    this.#endpointId = endpointId;
    this.#random = random;
  }

  /** `purpose` tells apart what is sealed; the same words open it. */
  async seal(purpose: string, text: string): Promise<ArrayBuffer> {
    const key = await this.#readyKey();
    const iv = new Uint8Array(this.#random(IV_BYTES));
    const sealed = await crypto.subtle.encrypt(
      { name: "AES-GCM", iv, additionalData: encoded(purpose) },
      key,
      encoded(text),
    );
    const bytes = new Uint8Array(IV_BYTES + sealed.byteLength);
    bytes.set(iv);
    bytes.set(new Uint8Array(sealed), IV_BYTES);
    return bytes.buffer;
  }

  /** Null when it does not open: the secret changed, or somebody changed the storage. */
  async openOrNull(purpose: string, sealed: ArrayBuffer): Promise<string | null> {
    const key = await this.#readyKey();
    const iv = new Uint8Array(sealed, 0, Math.min(IV_BYTES, sealed.byteLength));
    const algorithm = { name: "AES-GCM", iv, additionalData: encoded(purpose) };
    try {
      const text = await crypto.subtle.decrypt(algorithm, key, sealed.slice(IV_BYTES));
      return new TextDecoder().decode(text);
    } catch {
      return null;
    }
  }

  async #readyKey(): Promise<CryptoKey> {
    if (this.#key !== null) return this.#key;
    const secret = Uint8Array.from(atob(this.#secret), (letter) => letter.charCodeAt(0));
    const base = await crypto.subtle.importKey("raw", secret, "HKDF", false, ["deriveKey"]);
    this.#key = await crypto.subtle.deriveKey(
      {
        name: "HKDF",
        hash: "SHA-256",
        salt: encoded(this.#endpointId),
        info: encoded("kabar endpoint text v1"),
      },
      base,
      { name: "AES-GCM", length: 256 },
      false,
      ["encrypt", "decrypt"],
    );
    return this.#key;
  }
}

function encoded(text: string): Uint8Array<ArrayBuffer> {
  return new Uint8Array(new TextEncoder().encode(text));
}
