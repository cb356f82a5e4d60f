/**
 * Sealing of session rows: AES-256-GCM under a key derived per device and pairing generation, so that stolen
 * storage of the edge is useless. The associated data binds a value to its place: moved to another device,
 * generation, type or id it does not open. Refuses to answer "missing" for what it cannot open.
 */
import {
  createCipheriv,
  createDecipheriv,
  createSecretKey,
  hkdfSync,
  randomBytes,
} from "node:crypto";
import type { KeyObject } from "node:crypto";
import { err, ok } from "../src/domain/result.ts";
import type { Result } from "../src/domain/result.ts";

const FORMAT = 1;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const KEY_BYTES = 32;

/** Random bytes are drawn for many nonces at a time: a draw costs more than a seal. */
const NONCE_POOL = 256;

export interface SealKey {
  id: string;
  key: Buffer;
}

export type UnsealFailure =
  | { reason: "malformed" }
  | { reason: "key_unknown" }
  | { reason: "broken" };

/** `<keyId>:<base64>`, comma-separated; the first seals, all unseal. */
export function parseSealKeys(text: string): Result<SealKey[], { reason: "malformed" }> {
  const keys: SealKey[] = [];
  for (const part of text.split(",")) {
    const match = /^([A-Za-z0-9_-]{1,32}):([A-Za-z0-9+/]{43}=)$/.exec(part.trim());
    const id = match?.[1];
    const encoded = match?.[2];
    if (id === undefined || encoded === undefined) return err({ reason: "malformed" });
    if (keys.some((known) => known.id === id)) return err({ reason: "malformed" });
    keys.push({ id, key: Buffer.from(encoded, "base64") });
  }
  return ok(keys);
}

/** Each part behind its length, so that no two lists of parts share an encoding. */
function lengthPrefixed(parts: string[]): Buffer {
  const pieces = parts.flatMap((part) => {
    const bytes = Buffer.from(part, "utf8");
    const length = Buffer.alloc(4);
    length.writeUInt32BE(bytes.length);
    return [length, bytes];
  });
  return Buffer.concat(pieces);
}

export class DeviceSealer {
  readonly #place: [string, string];
  readonly #first: SealKey;
  readonly #derived = new Map<string, KeyObject>();

  #nonces: Buffer = Buffer.alloc(0);

  constructor(masters: SealKey[], deviceId: string, generation: number) {
    const first = masters[0];
    if (first === undefined) throw new Error("invariant broken: a sealer needs a key");
    this.#place = [deviceId, String(generation)];
    this.#first = first;
    const info = Buffer.concat([Buffer.from("kabar row seal v1"), lengthPrefixed(this.#place)]);
    for (const master of masters) {
      const key = Buffer.from(hkdfSync("sha256", master.key, Buffer.alloc(0), info, KEY_BYTES));
      this.#derived.set(master.id, createSecretKey(key));
    }
  }

  seal(type: string, id: string, plaintext: string): string {
    const keyId = this.#first.id;
    const nonce = this.#nextNonce();
    const cipher = createCipheriv("aes-256-gcm", this.#key(keyId), nonce);
    cipher.setAAD(this.#associated(type, id, keyId));
    const body = Buffer.concat([cipher.update(plaintext, "utf8"), cipher.final()]);
    const name = Buffer.from(keyId);
    return Buffer.concat([
      Buffer.from([FORMAT, name.length]),
      name,
      nonce,
      body,
      cipher.getAuthTag(),
    ]).toString("base64");
  }

  unseal(type: string, id: string, sealed: string): Result<string, UnsealFailure> {
    const bytes = Buffer.from(sealed, "base64");
    const nameEnd = 2 + (bytes[1] ?? 0);
    const bodyStart = nameEnd + NONCE_BYTES;
    if (bytes[0] !== FORMAT || bytes.length < bodyStart + TAG_BYTES)
      return err({ reason: "malformed" });
    const keyId = bytes.toString("utf8", 2, nameEnd);
    if (!this.#derived.has(keyId)) return err({ reason: "key_unknown" });
    const decipher = createDecipheriv(
      "aes-256-gcm",
      this.#key(keyId),
      bytes.subarray(nameEnd, bodyStart),
    );
    decipher.setAAD(this.#associated(type, id, keyId));
    decipher.setAuthTag(bytes.subarray(bytes.length - TAG_BYTES));
    try {
      const opened = decipher.update(bytes.subarray(bodyStart, bytes.length - TAG_BYTES));
      return ok(Buffer.concat([opened, decipher.final()]).toString("utf8"));
    } catch {
      // The tag did not match: the only way GCM fails here.
      return err({ reason: "broken" });
    }
  }

  #nextNonce(): Buffer {
    if (this.#nonces.length < NONCE_BYTES) this.#nonces = randomBytes(NONCE_BYTES * NONCE_POOL);
    const nonce = this.#nonces.subarray(0, NONCE_BYTES);
    this.#nonces = this.#nonces.subarray(NONCE_BYTES);
    return nonce;
  }

  #key(keyId: string): KeyObject {
    const key = this.#derived.get(keyId);
    if (key === undefined) throw new Error("invariant broken: unknown seal key");
    return key;
  }

  #associated(type: string, id: string, keyId: string): Buffer {
    return lengthPrefixed([...this.#place, type, id, keyId]);
  }
}
