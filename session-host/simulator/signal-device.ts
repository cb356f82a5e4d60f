/**
 * One simulated device's Signal identity and sessions: it really encrypts and decrypts, with libsignal. Sessions are
 * keyed by LID and device, as the client keys them. Knows nothing of stanzas, screens or the network.
 */

import {
  ProtocolAddress,
  SessionBuilder,
  SessionCipher,
  SessionRecord,
  type SignalStorage,
} from "libsignal";
import { generateKeyPair, sign, typed, type KeyPair } from "./curve.ts";
import type { EncType } from "./ciphertext.ts";
import type { KeyBundle } from "./key-bundle.ts";

export type PeerAddress = { lid: string; device: number };

type RandomBytes = (length: number) => Buffer;

type StoredKeyPair = { publicKey: string; privateKey: string };

export type StoredSignalDevice = {
  registrationId: number;
  identity: StoredKeyPair;
  signedPreKey: StoredKeyPair & { signature: string };
  nextPreKeyId: number;
  preKeys: Record<string, StoredKeyPair>;
  sessions: Record<string, unknown>;
};

/** A session record as libsignal writes it. */
type StoredSessions = {
  version: string;
  _sessions: Record<string, { indexInfo: { used: number } }>;
};

const SIGNED_PRE_KEY_ID = 1;
/** Unused one-time keys kept; a client asks for a new one at every forced re-key. */
const PRE_KEYS_MAX = 200;

export class SignalDevice {
  #last: Promise<unknown> = Promise.resolve();
  readonly #owner: string;
  readonly #randomBytes: RandomBytes;
  readonly #registrationId: number;
  readonly #identity: KeyPair;
  readonly #signedPreKey: KeyPair & { signature: Buffer };
  readonly #preKeys = new Map<number, KeyPair>();
  readonly #sessions = new Map<string, unknown>();
  #nextPreKeyId = 1;

  constructor(owner: string, randomBytes: RandomBytes, stored?: StoredSignalDevice) {
    this.#owner = owner;
    this.#randomBytes = randomBytes;
    if (stored === undefined) {
      this.#registrationId = 1 + (randomBytes(2).readUInt16BE(0) & 0x3ffe);
      this.#identity = generateKeyPair();
      const pair = generateKeyPair();
      this.#signedPreKey = {
        ...pair,
        signature: sign(this.#identity.privateKey, typed(pair.publicKey)),
      };
      return;
    }
    this.#registrationId = stored.registrationId;
    this.#identity = revive(stored.identity);
    this.#signedPreKey = {
      ...revive(stored.signedPreKey),
      signature: Buffer.from(stored.signedPreKey.signature, "base64"),
    };
    this.#nextPreKeyId = stored.nextPreKeyId;
    for (const [id, pair] of Object.entries(stored.preKeys))
      this.#preKeys.set(Number(id), revive(pair));
    for (const [address, session] of Object.entries(stored.sessions))
      this.#sessions.set(address, session);
  }

  get identity(): KeyPair {
    return this.#identity;
  }

  get registrationId(): number {
    return this.#registrationId;
  }

  /** Public keys with a fresh one-time key. */
  bundle(): KeyBundle {
    const pair = generateKeyPair();
    const id = this.#nextPreKeyId++;
    this.#preKeys.set(id, pair);
    const oldest = this.#preKeys.keys().next();
    if (this.#preKeys.size > PRE_KEYS_MAX && !oldest.done) this.#preKeys.delete(oldest.value);
    const { publicKey, signature } = this.#signedPreKey;
    return {
      registrationId: this.#registrationId,
      identity: this.#identity.publicKey,
      signedPreKey: { id: SIGNED_PRE_KEY_ID, publicKey, signature },
      preKey: { id, publicKey: pair.publicKey },
    };
  }

  /** Throws when the ciphertext cannot be opened with what this device holds. */
  async decrypt(peer: PeerAddress, type: EncType, ciphertext: Uint8Array): Promise<Buffer> {
    const bytes = Buffer.from(ciphertext);
    const cipher = new SessionCipher(this.#storage(peer), this.#address(peer));
    const padded = await this.#inTurn(() =>
      type === "pkmsg"
        ? cipher.decryptPreKeyWhisperMessage(bytes)
        : this.#decryptOnOneSession(peer, bytes),
    );
    return unpad(padded);
  }

  /** Each session is tried alone, on a copy: libsignal would spoil those that do not fit and store them. */
  async #decryptOnOneSession(peer: PeerAddress, bytes: Buffer): Promise<Buffer> {
    const address = keyOf(peer);
    const stored = this.#sessions.get(address) as StoredSessions | undefined;
    const sessions = sessionsOf(stored);
    let failure: unknown = new Error("No session record");
    for (const [key, session] of newestFirst(sessions)) {
      const after: StoredSessions[] = [];
      const storage: SignalStorage = {
        ...this.#storage(peer),
        loadSession: async () => deserialize({ ...stored, _sessions: { [key]: session } }),
        storeSession: async (_, record) => {
          after.push(record.serialize() as unknown as StoredSessions);
        },
      };
      try {
        const cipher = new SessionCipher(storage, this.#address(peer));
        const plaintext = await cipher.decryptWhisperMessage(bytes);
        const changed = { ...sessions, ...sessionsOf(after.at(-1)) };
        this.#sessions.set(address, { ...stored, _sessions: changed });
        return plaintext;
      } catch (error) {
        failure = error;
      }
    }
    throw failure;
  }

  /** Work on sessions never overlaps: each piece reads one, changes it and puts it back. */
  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const mine = this.#last.then(work);
    this.#last = mine.catch(() => undefined);
    return mine;
  }

  async encrypt(
    peer: PeerAddress,
    plaintext: Uint8Array,
  ): Promise<{ type: EncType; ciphertext: Buffer }> {
    const cipher = new SessionCipher(this.#storage(peer), this.#address(peer));
    const padded = pad(plaintext, this.#randomBytes);
    const { type, body } = await this.#inTurn(() => cipher.encrypt(padded));
    return { type: type === 3 ? "pkmsg" : "msg", ciphertext: Buffer.from(body, "binary") };
  }

  hasSession(peer: PeerAddress): boolean {
    const stored = this.#sessions.get(keyOf(peer));
    return stored !== undefined && deserialize(stored).haveOpenSession();
  }

  /** Starts a session from a bundle; an older one is closed but kept for messages under way. */
  async open(peer: PeerAddress, bundle: KeyBundle): Promise<void> {
    const { registrationId, signedPreKey, preKey } = bundle;
    const session = {
      registrationId,
      identityKey: typed(bundle.identity),
      signedPreKey: {
        keyId: signedPreKey.id,
        publicKey: typed(signedPreKey.publicKey),
        signature: signedPreKey.signature,
      },
      ...(preKey === undefined
        ? {}
        : { preKey: { keyId: preKey.id, publicKey: typed(preKey.publicKey) } }),
    };
    type Device = Parameters<SessionBuilder["initOutgoing"]>[0];
    // The declared type demands a one-time key; the library itself does without when the stock is empty.
    const builder = new SessionBuilder(this.#storage(peer), this.#address(peer));
    await this.#inTurn(() => builder.initOutgoing(session as Device));
  }

  /** Loses every session, as a phone does that was restored from an old backup. */
  forgetSessions(): void {
    this.#sessions.clear();
  }

  forgetSession(peer: PeerAddress): void {
    this.#sessions.delete(keyOf(peer));
  }

  stored(): StoredSignalDevice {
    return {
      registrationId: this.#registrationId,
      identity: store(this.#identity),
      signedPreKey: {
        ...store(this.#signedPreKey),
        signature: this.#signedPreKey.signature.toString("base64"),
      },
      nextPreKeyId: this.#nextPreKeyId,
      preKeys: Object.fromEntries([...this.#preKeys].map(([id, pair]) => [id, store(pair)])),
      sessions: Object.fromEntries(this.#sessions),
    };
  }

  /** libsignal queues jobs per address in one global map: the owner's name keeps the parties of a process apart. */
  #address(peer: PeerAddress): ProtocolAddress {
    return new ProtocolAddress(`simulated-${this.#owner}-${peer.lid}`, peer.device);
  }

  #storage(peer: PeerAddress): SignalStorage {
    const address = keyOf(peer);
    const classic = (pair: KeyPair): { privKey: Buffer; pubKey: Buffer } => ({
      privKey: pair.privateKey,
      pubKey: typed(pair.publicKey),
    });
    return {
      loadSession: async () => {
        const stored = this.#sessions.get(address);
        return stored === undefined ? undefined : deserialize(stored);
      },
      storeSession: async (_, record) => {
        this.#sessions.set(address, record.serialize());
      },
      isTrustedIdentity: () => true,
      loadPreKey: async (id) => {
        const pair = this.#preKeys.get(Number(id));
        return pair === undefined ? undefined : classic(pair);
      },
      removePreKey: (id) => {
        this.#preKeys.delete(id);
      },
      loadSignedPreKey: () => classic(this.#signedPreKey),
      getOurRegistrationId: () => this.#registrationId,
      getOurIdentity: () => classic(this.#identity),
    };
  }
}

function sessionsOf(stored: StoredSessions | undefined): StoredSessions["_sessions"] {
  if (stored === undefined) return {};
  const { _sessions: sessions } = stored;
  return sessions;
}

function newestFirst(sessions: StoredSessions["_sessions"]) {
  return Object.entries(sessions).toSorted(
    ([, one], [, other]) => other.indexInfo.used - one.indexInfo.used,
  );
}

function keyOf(peer: PeerAddress): string {
  return `${peer.lid}.${peer.device}`;
}

function deserialize(stored: unknown): SessionRecord {
  // The declared types say bytes; what the library writes and reads is a plain object.
  return SessionRecord.deserialize(stored as Uint8Array);
}

function pad(plaintext: Uint8Array, randomBytes: RandomBytes): Buffer {
  const length = ((randomBytes(1)[0] ?? 0) & 0x0f) + 1;
  return Buffer.concat([plaintext, Buffer.alloc(length, length)]);
}

function unpad(padded: Buffer): Buffer {
  const length = padded[padded.length - 1] ?? 0;
  if (length === 0 || length > 16 || length > padded.length) throw new Error("bad padding");
  return padded.subarray(0, padded.length - length);
}

function store(pair: KeyPair): StoredKeyPair {
  return {
    publicKey: pair.publicKey.toString("base64"),
    privateKey: pair.privateKey.toString("base64"),
  };
}

function revive(pair: StoredKeyPair): KeyPair {
  return {
    publicKey: Buffer.from(pair.publicKey, "base64"),
    privateKey: Buffer.from(pair.privateKey, "base64"),
  };
}
