/**
 * Counters that tests judge by. Nothing here changes what the simulator does. Holds ids, numbers and counts; no texts
 * and no private keys.
 */

import { createHash } from "node:crypto";
import { readHeader, type EncType } from "./ciphertext.ts";
import { ConnectionLog, type ConnectionRecord } from "./connection-log.ts";

export type LoginAttempt = { atMs: number; number: string; device: number; outcome: string };

/** What clients said about one inbound text. */
export type InboundEvidence = {
  device: string;
  sent: number;
  receipts: string[];
  acks: string[];
  retries: number;
};

export type EvidenceReport = {
  stanzas: Record<string, number>;
  unexpected: string[];
  logins: LoginAttempt[];
  loginCounts: Record<string, number>;
  messagesById: Record<string, number>;
  ciphertexts: number;
  keyReuses: number;
  replays: number;
  keyUsedAlready: number;
  decryptFailures: number;
  wrongSignatures: string[];
  preKeyUploads: { device: string; count: number }[];
  inbound: Record<string, InboundEvidence[]>;
  connections: ConnectionRecord[];
};

const LIST_MAX = 1_000;
const IDS_MAX = 20_000;
const COUNTERS_PER_RATCHET_MAX = 5_000;
const RATCHETS_MAX = 20_000;

export class Evidence {
  readonly connections = new ConnectionLog();
  readonly #stanzas = new Map<string, number>();
  readonly #unexpected: string[] = [];
  readonly #logins: LoginAttempt[] = [];
  readonly #loginCounts = new Map<string, number>();
  readonly #messages = new Map<string, number>();
  readonly #inbound = new Map<string, InboundEvidence[]>();
  readonly #preKeyUploads: { device: string; count: number }[] = [];
  readonly #wrongSignatures: string[] = [];
  readonly #ratchets = new Map<string, Map<number, string>>();
  #ciphertexts = 0;
  #keyReuses = 0;
  #replays = 0;
  #keyUsedAlready = 0;
  #decryptFailures = 0;

  stanza(kind: string): void {
    this.#stanzas.set(kind, (this.#stanzas.get(kind) ?? 0) + 1);
  }

  unexpected(what: string): void {
    push(this.#unexpected, what);
  }

  login(attempt: LoginAttempt): void {
    push(this.#logins, attempt);
    this.#loginCounts.set(attempt.number, (this.#loginCounts.get(attempt.number) ?? 0) + 1);
  }

  message(id: string): void {
    count(this.#messages, id);
  }

  wrongSignature(what: string): void {
    push(this.#wrongSignatures, what);
  }

  preKeyUpload(device: string, keys: number): void {
    push(this.#preKeyUploads, { device, count: keys });
  }

  /**
   * Looks at the header of a ciphertext on its way. The same ratchet key and counter with other bytes means that the
   * sender used a message key twice. True when this key was seen before.
   */
  ciphertext(session: string, type: EncType, ciphertext: Uint8Array): boolean {
    this.#ciphertexts += 1;
    const header = readHeader(type, ciphertext);
    if (header === undefined) return false;
    const key = `${session} ${header.ratchetKey}`;
    const seen = this.#ratchets.get(key) ?? new Map<number, string>();
    if (seen.size === 0) {
      this.#ratchets.set(key, seen);
      dropOldest(this.#ratchets, RATCHETS_MAX);
    }
    const digest = createHash("sha256").update(header.message).digest("base64").slice(0, 16);
    const before = seen.get(header.counter);
    if (before === undefined) {
      seen.set(header.counter, digest);
      dropOldest(seen, COUNTERS_PER_RATCHET_MAX);
      return false;
    }
    if (before === digest) this.#replays += 1;
    else this.#keyReuses += 1;
    return true;
  }

  decryptFailure(keySeenBefore: boolean): void {
    this.#decryptFailures += 1;
    if (keySeenBefore) this.#keyUsedAlready += 1;
  }

  inboundSent(id: string, device: string): void {
    this.#inboundOf(id, device).sent += 1;
  }

  inboundReceipt(id: string, device: string, type: string): void {
    const entry = this.#inboundOf(id, device);
    if (type === "retry") entry.retries += 1;
    else entry.receipts.push(type);
  }

  inboundAck(id: string, device: string, error: string | undefined): void {
    this.#inboundOf(id, device).acks.push(error ?? "ok");
  }

  #inboundOf(id: string, device: string): InboundEvidence {
    const entries = this.#inbound.get(id) ?? [];
    this.#inbound.set(id, entries);
    dropOldest(this.#inbound, IDS_MAX);
    const known = entries.find((entry) => entry.device === device);
    if (known !== undefined) return known;
    const made: InboundEvidence = { device, sent: 0, receipts: [], acks: [], retries: 0 };
    entries.push(made);
    return made;
  }

  report(): EvidenceReport {
    return {
      stanzas: Object.fromEntries(this.#stanzas),
      unexpected: [...this.#unexpected],
      logins: [...this.#logins],
      loginCounts: Object.fromEntries(this.#loginCounts),
      messagesById: Object.fromEntries(this.#messages),
      ciphertexts: this.#ciphertexts,
      keyReuses: this.#keyReuses,
      replays: this.#replays,
      keyUsedAlready: this.#keyUsedAlready,
      decryptFailures: this.#decryptFailures,
      wrongSignatures: [...this.#wrongSignatures],
      preKeyUploads: [...this.#preKeyUploads],
      inbound: Object.fromEntries(this.#inbound),
      connections: this.connections.report(),
    };
  }
}

function count(map: Map<string, number>, key: string): void {
  map.set(key, (map.get(key) ?? 0) + 1);
  dropOldest(map, IDS_MAX);
}

function push<T>(list: T[], value: T): void {
  list.push(value);
  if (list.length > LIST_MAX) list.shift();
}

function dropOldest<K, V>(map: Map<K, V>, limit: number): void {
  const oldest = map.keys().next();
  if (map.size > limit && !oldest.done) map.delete(oldest.value);
}
