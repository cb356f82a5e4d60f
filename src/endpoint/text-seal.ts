/**
 * Seals what texts of people are kept here: SQLite leaves what it deletes on the disk for a while, so it must be worth
 * nothing without the Worker's secret. Each seal is bound to the endpoint and to what it is for. Never logs.
 */
import type { RandomBytes } from "../domain/id.ts";
import { invariant } from "../domain/result.ts";

const IV_BYTES = 12;

export class TextSeal {
  readonly #secrets: readonly string[];
  readonly #endpointId: string;
  readonly #random: RandomBytes;
  #keys: CryptoKey[] | null = null;

  /** Each secret is 32 bytes in base64; the first seals, all open. */
  constructor(secrets: readonly string[], endpointId: string, random: RandomBytes) {
    this.#secrets = secrets;
    this.#endpointId = endpointId;
    this.#random = random;
  }

  /** `purpose` tells apart what is sealed; the same words open it. */
  async seal(purpose: string, text: string): Promise<ArrayBuffer> {
    const [key] = await this.#readyKeys();
    invariant(key !== undefined, "there is a key to seal with");
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

  /** Null when it opens under none of the secrets, or somebody changed the storage. */
  async openOrNull(purpose: string, sealed: ArrayBuffer): Promise<string | null> {
    for (const key of await this.#readyKeys()) {
      const text = await openWith(key, purpose, sealed);
      if (text !== null) return text;
    }
    return null;
  }

  async #readyKeys(): Promise<CryptoKey[]> {
    this.#keys ??= await Promise.all(
      this.#secrets.map((secret) => derivedKey(secret, this.#endpointId)),
    );
    return this.#keys;
  }
}

async function openWith(
  key: CryptoKey,
  purpose: string,
  sealed: ArrayBuffer,
): Promise<string | null> {
  const iv = new Uint8Array(sealed, 0, Math.min(IV_BYTES, sealed.byteLength));
  const algorithm = { name: "AES-GCM", iv, additionalData: encoded(purpose) };
  try {
    const text = await crypto.subtle.decrypt(algorithm, key, sealed.slice(IV_BYTES));
    return new TextDecoder().decode(text);
  } catch {
    return null;
  }
}

async function derivedKey(secretBase64: string, endpointId: string): Promise<CryptoKey> {
  const secret = Uint8Array.from(atob(secretBase64), (letter) => letter.charCodeAt(0));
  const base = await crypto.subtle.importKey("raw", secret, "HKDF", false, ["deriveKey"]);
  return crypto.subtle.deriveKey(
    {
      name: "HKDF",
      hash: "SHA-256",
      salt: encoded(endpointId),
      info: encoded("kabar endpoint text v1"),
    },
    base,
    { name: "AES-GCM", length: 256 },
    false,
    ["encrypt", "decrypt"],
  );
}

function encoded(text: string): Uint8Array<ArrayBuffer> {
  return new Uint8Array(new TextEncoder().encode(text));
}
