/**
 * What the server knows of one linked device (a real client): the keys it published at pairing, its stock of
 * one-time keys, and the stanzas it has not acknowledged. Private keys of a client never exist here.
 */

import { Backlog, reviveStanza, storeStanza, type StoredStanza } from "./backlog.ts";
import type { KeyBundle, PublicPreKey, PublicSignedPreKey } from "./key-bundle.ts";

export type LinkedDeviceKeys = {
  device: number;
  keyIndex: number;
  noiseStatic: Buffer;
  identity: Buffer;
  identityDigest: string;
  registrationId: number;
  signedPreKey: PublicSignedPreKey;
};

export type StoredLinkedDevice = {
  device: number;
  keyIndex: number;
  noiseStatic: string;
  identity: string;
  identityDigest: string;
  registrationId: number;
  signedPreKey: { id: number; publicKey: string; signature: string };
  preKeys: [number, string][];
  historySent: boolean;
  identitySeen: boolean;
  backlog: StoredStanza[];
};

export class LinkedDevice {
  readonly device: number;
  readonly keyIndex: number;
  readonly noiseStatic: Buffer;
  readonly identity: Buffer;
  readonly registrationId: number;
  readonly backlog = new Backlog();
  signedPreKey: PublicSignedPreKey;
  historySent = false;
  /** Of the signed identity that was verified when the device was linked. */
  readonly identityDigest: string;
  /** That identity came with one of the device's first messages. */
  identitySeen = false;
  /** A notice that the stock is low is on its way. */
  lowStockNoticed = false;
  readonly #stock = new Map<number, Buffer>();

  constructor(keys: LinkedDeviceKeys) {
    this.device = keys.device;
    this.keyIndex = keys.keyIndex;
    this.noiseStatic = keys.noiseStatic;
    this.identity = keys.identity;
    this.identityDigest = keys.identityDigest;
    this.registrationId = keys.registrationId;
    this.signedPreKey = keys.signedPreKey;
  }

  get stock(): number {
    return this.#stock.size;
  }

  addPreKeys(keys: PublicPreKey[]): void {
    for (const key of keys) this.#stock.set(key.id, key.publicKey);
    this.lowStockNoticed = false;
  }

  /** Throws stock away, so that tests need not use up 812 keys. */
  keepPreKeys(count: number): void {
    for (const id of [...this.#stock.keys()].slice(count)) this.#stock.delete(id);
  }

  /** Hands out the keys and one one-time key, while there are any. */
  takeBundle(): KeyBundle {
    const first = this.#stock.entries().next();
    let preKey: PublicPreKey | undefined;
    if (!first.done) {
      const [id, publicKey] = first.value;
      this.#stock.delete(id);
      preKey = { id, publicKey };
    }
    return {
      registrationId: this.registrationId,
      identity: this.identity,
      signedPreKey: this.signedPreKey,
      preKey,
    };
  }

  stored(): StoredLinkedDevice {
    const { id, publicKey, signature } = this.signedPreKey;
    return {
      device: this.device,
      keyIndex: this.keyIndex,
      noiseStatic: this.noiseStatic.toString("base64"),
      identity: this.identity.toString("base64"),
      identityDigest: this.identityDigest,
      registrationId: this.registrationId,
      signedPreKey: {
        id,
        publicKey: publicKey.toString("base64"),
        signature: signature.toString("base64"),
      },
      preKeys: [...this.#stock].map(([keyId, key]) => [keyId, key.toString("base64")]),
      historySent: this.historySent,
      identitySeen: this.identitySeen,
      backlog: this.backlog.all().map(storeStanza),
    };
  }

  static revive(stored: StoredLinkedDevice): LinkedDevice {
    const { id, publicKey, signature } = stored.signedPreKey;
    const linked = new LinkedDevice({
      device: stored.device,
      keyIndex: stored.keyIndex,
      noiseStatic: Buffer.from(stored.noiseStatic, "base64"),
      identity: Buffer.from(stored.identity, "base64"),
      identityDigest: stored.identityDigest,
      registrationId: stored.registrationId,
      signedPreKey: {
        id,
        publicKey: Buffer.from(publicKey, "base64"),
        signature: Buffer.from(signature, "base64"),
      },
    });
    linked.addPreKeys(
      stored.preKeys.map(([keyId, key]) => ({ id: keyId, publicKey: Buffer.from(key, "base64") })),
    );
    linked.historySent = stored.historySent;
    linked.identitySeen = stored.identitySeen;
    for (const stanza of stored.backlog) linked.backlog.add(reviveStanza(stanza));
    return linked;
  }
}
