/**
 * Epochs and the secrets that open them. One epoch at a time may write keys; a ticket (single use, 15 s, for one
 * host and boot) makes its epoch current, a resume token brings the same host and boot back to it. Knows secrets by
 * their hashes only (secrets.ts). Holds no sockets.
 */
import { TICKET_LIFE_MS } from "../bridge/wire.ts";
import type { Identity } from "./identity.ts";
import { sameHash } from "./secrets.ts";

const EPOCHS_KEPT = 8;

export interface EpochRow {
  epoch: number;
  placementId: number;
  hostId: string;
  bootId: string;
  resumeHash: string | null;
  keysSeq: number;
  factN: number;
}

export interface Caller {
  hostId: string;
  bootId: string;
}

export type Entry =
  | { kind: "entered"; epoch: number; isNew: boolean }
  | { kind: "unknown" }
  | { kind: "epoch_over" };

const SELECT = `SELECT epoch, placement_id AS placementId, host_id AS hostId, boot_id AS bootId,
  resume_hash AS resumeHash, keys_seq AS keysSeq, fact_n AS factN FROM epochs`;

type StoredEpoch = EpochRow & Record<string, SqlStorageValue>;

export class Epochs {
  readonly #sql: SqlStorage;
  readonly #identity: Identity;

  constructor(sql: SqlStorage, identity: Identity) {
    this.#sql = sql;
    this.#identity = identity;
  }

  /** The epoch of a placement, minted once, and a fresh ticket to it. */
  mint(placement: Caller & { placementId: number }, ticketHash: string, nowMs: number): number {
    const { state } = this.#identity;
    const known = this.#sql
      .exec<StoredEpoch>(
        `${SELECT} WHERE placement_id = ? AND host_id = ? AND boot_id = ? AND epoch >= ?`,
        placement.placementId,
        placement.hostId,
        placement.bootId,
        state.epoch,
      )
      .toArray()[0];
    const epoch = known?.epoch ?? Math.max(state.epochMax + 1, nowMs);
    if (known === undefined) this.#create(epoch, placement);
    this.#sql.exec("DELETE FROM tickets WHERE expires_ms <= ?", nowMs);
    this.#sql.exec(
      "INSERT INTO tickets (hash, epoch, host_id, boot_id, expires_ms) VALUES (?, ?, ?, ?, ?)",
      ticketHash,
      epoch,
      placement.hostId,
      placement.bootId,
      nowMs + TICKET_LIFE_MS,
    );
    return epoch;
  }

  /** Uses a ticket up; from here on `resumeHash` opens the epoch. The caller makes it current. */
  enterByTicket(hash: string, resumeHash: string, caller: Caller, nowMs: number): Entry {
    const row = this.#sql
      .exec<{ epoch: number; hostId: string; bootId: string; expiresMs: number }>(
        `SELECT epoch, host_id AS hostId, boot_id AS bootId, expires_ms AS expiresMs
         FROM tickets WHERE hash = ?`,
        hash,
      )
      .toArray()[0];
    if (row === undefined || row.hostId !== caller.hostId || row.bootId !== caller.bootId) {
      return { kind: "unknown" };
    }
    this.#sql.exec("DELETE FROM tickets WHERE hash = ?", hash);
    if (row.expiresMs <= nowMs) return { kind: "unknown" };
    if (row.epoch < this.#identity.state.epoch || this.row(row.epoch) === null) {
      return { kind: "epoch_over" };
    }
    this.#sql.exec("UPDATE epochs SET resume_hash = ? WHERE epoch = ?", resumeHash, row.epoch);
    const isNew = row.epoch !== this.#identity.state.epoch;
    return { kind: "entered", epoch: row.epoch, isNew };
  }

  /** Back to the current epoch; the token stays good until the next ticket. */
  enterByResume(hash: string, caller: Caller): Entry {
    const row = this.row(this.#identity.state.epoch);
    if (row === null) return { kind: "epoch_over" };
    if (row.hostId !== caller.hostId || row.bootId !== caller.bootId) return { kind: "epoch_over" };
    if (row.resumeHash === null || !sameHash(row.resumeHash, hash)) {
      return { kind: "unknown" };
    }
    return { kind: "entered", epoch: row.epoch, isNew: false };
  }

  row(epoch: number): EpochRow | null {
    return this.#sql.exec<StoredEpoch>(`${SELECT} WHERE epoch = ?`, epoch).toArray()[0] ?? null;
  }

  setKeysSeq(epoch: number, keysSeq: number): void {
    this.#sql.exec("UPDATE epochs SET keys_seq = ? WHERE epoch = ?", keysSeq, epoch);
  }

  /** Stored only with facts whose repetition would matter; the others may be heard twice. */
  setFactN(epoch: number, factN: number): void {
    this.#sql.exec(
      "UPDATE epochs SET fact_n = ? WHERE epoch = ? AND fact_n < ?",
      factN,
      epoch,
      factN,
    );
  }

  /** An epoch that was closed, or overtaken before, is never entered again: its messages may be in other hands. */
  forget(epoch: number): void {
    this.#sql.exec("DELETE FROM epochs WHERE epoch <= ?", epoch);
    this.#sql.exec("DELETE FROM tickets WHERE epoch <= ?", epoch);
  }

  /** Whatever this host was given to enter with is void. */
  forgetHost(hostId: string): void {
    this.#sql.exec("DELETE FROM epochs WHERE host_id = ?", hostId);
    this.#sql.exec("DELETE FROM tickets WHERE host_id = ?", hostId);
  }

  #create(epoch: number, placement: Caller & { placementId: number }): void {
    this.#identity.patch({ epochMax: epoch });
    this.#sql.exec(
      `INSERT INTO epochs (epoch, placement_id, host_id, boot_id, resume_hash, keys_seq, fact_n)
       VALUES (?, ?, ?, ?, NULL, 0, 0)`,
      epoch,
      placement.placementId,
      placement.hostId,
      placement.bootId,
    );
    this.#sql.exec(
      `DELETE FROM epochs WHERE epoch <> ? AND epoch NOT IN
         (SELECT epoch FROM epochs ORDER BY epoch DESC LIMIT ${EPOCHS_KEPT})`,
      this.#identity.state.epoch,
    );
  }
}
