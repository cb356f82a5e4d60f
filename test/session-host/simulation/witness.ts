/**
 * Who watches a simulation and knows no product code but the seal: every key used, every stanza written, every receipt
 * given, every row the device took, and what of it is durable. Notes faults; never interferes.
 */
import { LEASE_MS } from "../../../src/bridge/wire.ts";
import { DeviceSealer, type SealKey } from "../../../session-host/sealing.ts";
import type { Sealed, SimSession } from "./baileys.ts";
import type { Edge } from "./edge.ts";
import type { Machine, World } from "./world.ts";

interface LeasedEnd {
  machine: Machine;
  pings: { answered: { wallMs: number; monotonicMs: number } | null };
}

interface PhoneEnd {
  machine: Machine;
  isOpen: boolean;
}

export interface Stanza {
  id: string;
  to: string;
  devices: readonly string[];
  sealed: readonly string[];
  isRetry: boolean;
}

interface StoredWrite {
  n: number;
  epoch: number;
  type: string;
  id: string;
  value: string;
}

/** A host looks several times a second whether it may still be logged in. */
const LEAVES_WITHIN_MS = 1_000;

const TRIGGERS = `
CREATE TEMP TABLE seen_writes (n INTEGER PRIMARY KEY, epoch INTEGER, type TEXT, id TEXT, value TEXT);
CREATE TEMP TABLE seen_faults (fault TEXT);
CREATE TEMP TRIGGER seen_insert AFTER INSERT ON session_rows BEGIN
  INSERT INTO seen_writes (epoch, type, id, value) VALUES ((SELECT epoch FROM device), NEW.type, NEW.id, NEW.value);
END;
CREATE TEMP TRIGGER seen_update AFTER UPDATE ON session_rows BEGIN
  INSERT INTO seen_writes (epoch, type, id, value) VALUES ((SELECT epoch FROM device), NEW.type, NEW.id, NEW.value);
END;
CREATE TEMP TRIGGER seen_gap AFTER UPDATE OF keys_seq ON epochs WHEN NEW.keys_seq <> OLD.keys_seq + 1 BEGIN
  INSERT INTO seen_faults VALUES ('a key commit was taken out of its sequence');
END;
CREATE TEMP TRIGGER seen_foreign AFTER UPDATE OF keys_seq ON epochs WHEN NEW.epoch <> (SELECT epoch FROM device) BEGIN
  INSERT INTO seen_faults VALUES ('a key commit of an epoch that is over was taken');
END;`;

export class Witness {
  readonly faults: string[] = [];
  /** Stanzas that were written, by WhatsApp id: first and second attempts, not what a retry request brought. */
  readonly written = new Map<string, number>();
  keysUsed = 0;
  rowsTaken = 0;
  readonly #world: World;
  readonly #edge: Edge;
  readonly #sealer: DeviceSealer;
  readonly #leased: LeasedEnd[] = [];
  readonly #phones: PhoneEnd[] = [];
  readonly #overdue = new Map<PhoneEnd, number>();
  readonly #used = new Set<string>();
  #committed = new Map<string, number>();
  /** The highest counter of each session that is durable. */
  readonly #durable = new Map<string, number>();
  #texts = new Set<string>();
  #lastWrite = 0;
  #lastEpoch = 0;
  readonly #writerOf = new Map<number, string>();

  constructor(world: World, edge: Edge, sealKeys: SealKey[]) {
    this.#world = world;
    this.#edge = edge;
    this.#sealer = new DeviceSealer(sealKeys, edge.identity.deviceId, 1);
  }

  /** Epochs under which keys were taken. */
  get epochs(): number {
    return this.#writerOf.size;
  }

  begin(): void {
    this.#edge.sql.exec(TRIGGERS);
    this.#edge.onDurable = () => this.#look();
    this.#world.onEvent = () => this.#watchPhones();
  }

  dialled(socket: LeasedEnd): void {
    this.#leased.push(socket);
  }

  loggingIn(socket: PhoneEnd): void {
    this.#phones.push(socket);
    if (this.#isAllowed(socket.machine)) return;
    this.#fault(`${socket.machine.name} logs in without a lease`);
  }

  keyUsed({ machine }: PhoneEnd, what: "encrypt" | "decrypt"): void {
    this.keysUsed += 1;
    if (this.#isAllowed(machine)) return;
    this.#fault(`${machine.name} got a key to ${what} without a lease`);
  }

  stanza({ machine }: PhoneEnd, { id, devices, sealed, isRetry }: Stanza): void {
    const copies = (this.written.get(id) ?? 0) + Number(!isRetry);
    this.written.set(id, copies);
    if (copies > (this.#committed.get(id) ?? 0)) {
      this.#fault(`${machine.name} wrote copy ${copies} of ${id} without its commit`);
    }
    devices.forEach((jid, at) => {
      const { base, counter } = JSON.parse(sealed[at] ?? "{}") as Sealed;
      const key = `${jid} ${base}`;
      if (this.#used.has(`${key} ${counter}`)) {
        this.#fault(`${machine.name} wrote with a key of ${key} that was used before: ${counter}`);
      }
      this.#used.add(`${key} ${counter}`);
      if ((this.#durable.get(key) ?? 0) < counter) {
        this.#fault(`${machine.name} wrote with a key of ${key} that is not stored: ${counter}`);
      }
    });
  }

  confirmed({ machine }: PhoneEnd, id: string): void {
    if (!this.#texts.has(id)) this.#fault(`${machine.name} confirmed ${id}, which is not stored`);
  }

  /** By the pings it sent and the answers it got, on both of its clocks. */
  leaseHolds(machine: Machine): boolean {
    const { wallMs, monotonicMs } = machine;
    const isFresh = (agoMs: number): boolean => agoMs >= 0 && agoMs <= LEASE_MS;
    return this.#leased.some(({ machine: owner, pings: { answered } }) => {
      if (owner !== machine || answered === null) return false;
      return isFresh(wallMs - answered.wallMs) && isFresh(monotonicMs - answered.monotonicMs);
    });
  }

  /** A machine that stopped in the middle of this very event may have asked before and be here after. */
  #isAllowed(machine: Machine): boolean {
    return machine.hasStalled || this.leaseHolds(machine);
  }

  #watchPhones(): void {
    for (const phone of this.#phones) {
      const { machine, isOpen } = phone;
      if (!isOpen || !machine.isRunning || this.leaseHolds(machine)) {
        this.#overdue.delete(phone);
        continue;
      }
      const sinceMs = this.#overdue.get(phone) ?? this.#world.nowMs;
      this.#overdue.set(phone, sinceMs);
      if (this.#world.nowMs - sinceMs <= LEAVES_WITHIN_MS) continue;
      this.#fault(`${machine.name} stays logged in without a lease`);
      this.#overdue.delete(phone);
    }
  }

  /** What the device holds, now that it is durable. */
  #look(): void {
    const { sql } = this.#edge;
    const copies = sql.rows<{ waId: string; copies: number }>(
      "SELECT wa_id AS waId, committed_attempt AS copies FROM outbox WHERE wa_id IS NOT NULL",
    );
    this.#committed = new Map(copies.map((row) => [row.waId, row.copies]));
    const texts = sql.rows<{ waId: string }>("SELECT wa_id AS waId FROM inbound");
    this.#texts = new Set(texts.map(({ waId }) => waId));
    const faults = sql.rows<{ fault: string }>("SELECT fault FROM seen_faults");
    for (const { fault } of faults) this.#fault(fault);
    sql.exec("DELETE FROM seen_faults");
    const writes = sql.rows<StoredWrite>(
      "SELECT n, epoch, type, id, value FROM seen_writes WHERE n > ? ORDER BY n",
      this.#lastWrite,
    );
    for (const row of writes) this.#took(row);
  }

  #took({ n, epoch, type, id, value }: StoredWrite): void {
    this.#lastWrite = n;
    if (type === "head") return;
    this.rowsTaken += 1;
    if (epoch < this.#lastEpoch)
      this.#fault(`keys were taken under ${epoch} after ${this.#lastEpoch}`);
    this.#lastEpoch = epoch;
    const opened = this.#sealer.unseal(type, id, value);
    if (!opened.ok) {
      this.#fault(`a row of type ${type} does not open`);
      return;
    }
    const json =
      type === "session" ? opened.value.slice(opened.value.indexOf("|") + 1) : opened.value;
    const row = JSON.parse(json) as SimSession;
    const writer = this.#writerOf.get(epoch) ?? row.by;
    this.#writerOf.set(epoch, writer);
    if (writer !== row.by)
      this.#fault(`keys of ${writer} and of ${row.by} were taken under one epoch`);
    if (type !== "session") return;
    const key = `${id} ${row.base}`;
    const before = this.#durable.get(key) ?? 0;
    if (row.sent < before)
      this.#fault(`a session of ${id} went back from ${before} to ${row.sent}`);
    this.#durable.set(key, Math.max(before, row.sent));
  }

  #fault(what: string): void {
    this.faults.push(`${Math.round(this.#world.nowMs)} ms: ${what}`);
  }
}
