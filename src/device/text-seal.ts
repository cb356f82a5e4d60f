/**
 * Seals the texts of people while they are in this object's storage: SQLite leaves what it deletes on the disk for a
 * while, so it must be worth nothing without the Worker's secret. Each seal is bound to the device and to what it is
 * for. Works without waiting, because texts are stored in the middle of transactions. Never logs.
 */
import { createCipheriv, createDecipheriv, createSecretKey, hkdfSync } from "node:crypto";
import type { RandomBytes } from "../domain/id.ts";
import { invariant } from "../domain/result.ts";

/** Made once, because each making copies and checks it. */
type SecretKey = ReturnType<typeof createSecretKey>;

const CIPHER = "aes-256-gcm";
const IV_BYTES = 12;
const TAG_BYTES = 16;
/** How much longer a sealed text is than the text itself. */
export const SEAL_BYTES = IV_BYTES + TAG_BYTES;

export class TextSeal {
  readonly #secrets: readonly string[];
  readonly #deviceId: string;
  readonly #random: RandomBytes;
  #keys: SecretKey[] | null = null;

  /** Each secret is 32 bytes in base64; the first seals, all open. */
  constructor(secrets: readonly string[], deviceId: string, random: RandomBytes) {
    this.#secrets = secrets;
    this.#deviceId = deviceId;
    this.#random = random;
  }

  /** `purpose` tells apart what is sealed; the same words open it. */
  seal(purpose: string, text: string): ArrayBuffer {
    const iv = this.#random(IV_BYTES);
    const [key] = this.#readyKeys();
    invariant(key !== undefined, "there is a key to seal with");
    const cipher = createCipheriv(CIPHER, key, iv);
    cipher.setAAD(encoded(purpose));
    const body = cipher.update(encoded(text));
    const rest = cipher.final();
    return joined([iv, body, rest, cipher.getAuthTag()]);
  }

  /** Null when it opens under none of the secrets, or somebody changed the storage. */
  openOrNull(purpose: string, sealed: ArrayBuffer): string | null {
    if (sealed.byteLength < SEAL_BYTES) return null;
    for (const key of this.#readyKeys()) {
      const text = openWith(key, purpose, sealed);
      if (text !== null) return text;
    }
    return null;
  }

  #readyKeys(): SecretKey[] {
    this.#keys ??= this.#secrets.map((text) => {
      const secret = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
      const info = encoded("kabar device text v1");
      const bytes = hkdfSync("sha256", secret, encoded(this.#deviceId), info, 32);
      return createSecretKey(new Uint8Array(bytes));
    });
    return this.#keys;
  }
}

function openWith(key: SecretKey, purpose: string, sealed: ArrayBuffer): string | null {
  const iv = new Uint8Array(sealed, 0, IV_BYTES);
  const body = new Uint8Array(sealed, IV_BYTES, sealed.byteLength - SEAL_BYTES);
  try {
    const decipher = createDecipheriv(CIPHER, key, iv);
    decipher.setAAD(encoded(purpose));
    decipher.setAuthTag(new Uint8Array(sealed, sealed.byteLength - TAG_BYTES));
    return new TextDecoder().decode(joined([decipher.update(body), decipher.final()]));
  } catch {
    // Another key sealed it.
    return null;
  }
}

function encoded(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

function joined(parts: readonly Uint8Array[]): ArrayBuffer {
  const whole = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole.buffer;
}
