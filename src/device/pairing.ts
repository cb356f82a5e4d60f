/**
 * How a phone comes to this device and leaves it: pairing runs, unlinking, log-outs. Every end of a pairing closes
 * the epoch, archives the keys and starts a new generation in one transaction. QR and codes are secrets: shown by
 * the view, never logged, dropped when used.
 */
import type { Fact } from "../bridge/device-frames.ts";
import type { Result } from "../domain/result.ts";
import { err, ok } from "../domain/result.ts";
import type { Commands } from "./commands.ts";
import type { Events } from "./events.ts";
import type { DevicePatch, Identity } from "./identity.ts";
import type { DeviceRefusal, DeviceStatus } from "./interface.ts";
import type { Judgement } from "./judgement.ts";
import { logInfo } from "../domain/log.ts";
import type { MessageRow } from "./message-row.ts";
import type { Outbox } from "./outbox.ts";
import type { Restriction } from "./restriction.ts";
import type { SessionStore } from "./session-store.ts";
import type { Bridge } from "./socket.ts";

/** A run without a scan ends; the QR codes of one run last 2 to 3 minutes. */
const RUN_MAX_MS = 600_000;
/** How long a host may take to log out at WhatsApp before the keys are taken from it. */
const UNLINK_MAX_MS = 30_000;
const PAGE = 200;

export interface PairingParts {
  identity: Identity;
  outbox: Outbox;
  judgement: Judgement;
  events: Events;
  sessions: SessionStore;
  bridge: Bridge;
  commands: Commands;
  /** Ends the current epoch and takes back what is in its host's hands. */
  closeEpoch: (reason: "new_epoch" | "unpaired", nowMs: number) => void;
  transaction: (work: () => void) => void;
  /** The Fleet shall hear at once that no host is wanted. */
  releaseHost: (nowMs: number) => void;
  restriction: Restriction;
  /** Archived keys must be dropped one day. */
  expectRetention: (nowMs: number) => void;
}

interface Control {
  kind: "pair" | "unlink";
  epoch: number;
  seq: number;
}

const NO_RUN: DevicePatch = {
  pairingPhone: null,
  pairingSinceMs: null,
  pairingQr: null,
  pairingCode: null,
  pairingExpiresMs: null,
  control: null,
};

export class Pairing {
  readonly #parts: PairingParts;

  constructor(parts: PairingParts) {
    this.#parts = parts;
  }

  /** Starts a run, or leaves the running one alone. */
  start(phone: string | null, nowMs: number): Result<null, DeviceRefusal> {
    const { identity, sessions, transaction } = this.#parts;
    const { state } = identity;
    if (state.unlinkingSinceMs !== null) this.park("unpaired", nowMs);
    if (state.paired === 1 && state.unlinkingSinceMs === null) {
      return err({ reason: "already_paired" });
    }
    if (state.status === "pairing") return ok(null);
    transaction(() => {
      if (sessions.hasRows(identity.state.generation)) this.#nextGeneration(nowMs);
      identity.become("pairing", {
        ...NO_RUN,
        pairingPhone: phone,
        pairingSinceMs: nowMs,
        releaseDue: 0,
      });
    });
    this.#command("pair");
    return ok(null);
  }

  unpair(nowMs: number): Result<null, DeviceRefusal> {
    const { identity, bridge } = this.#parts;
    const { state } = identity;
    if (state.status === "unpaired") {
      return state.paired === 1 ? ok(null) : err({ reason: "not_paired" });
    }
    if (state.status === "connected" && bridge.current(state.epoch) !== null) {
      identity.become("unpaired", { unlinkingSinceMs: nowMs });
      this.#command("unlink");
    } else {
      this.park("unpaired", nowMs);
    }
    return ok(null);
  }

  /** The device was deleted: the phone is let go, and nothing that waits is sent. */
  close(nowMs: number): void {
    const { identity, transaction } = this.#parts;
    if (identity.state.closedMs !== null) return;
    transaction(() => {
      identity.patch({ closedMs: nowMs, retentionMs: nowMs });
      this.#parts.restriction.forget();
      // A phone that was never paired need not be let go.
      this.unpair(nowMs);
      this.#withdrawWaiting(nowMs);
    });
    logInfo("device closed", { device: identity.state.deviceId });
  }

  /** No phone from here on: keys archived, epoch closed, no host wanted. The queue stays. */
  park(status: Extract<DeviceStatus, "unpaired" | "logged_out" | "banned">, nowMs: number): void {
    const { identity, sessions, transaction, closeEpoch } = this.#parts;
    transaction(() => {
      closeEpoch("unpaired", nowMs);
      if (sessions.hasRows(identity.state.generation)) this.#nextGeneration(nowMs);
      identity.become(status, {
        ...NO_RUN,
        paired: 0,
        greet: 0,
        unlinkingSinceMs: null,
        releaseDue: 1,
      });
      if (status === "banned") {
        this.#eachWaiting((row) => {
          this.#parts.judgement.apply(row, { kind: "barred", reason: "banned" }, {}, nowMs);
        });
      }
      // What a host had in hand when the device was deleted has come back only now.
      if (identity.state.closedMs !== null) this.#withdrawWaiting(nowMs);
    });
    this.#parts.releaseHost(nowMs);
    logInfo("device parked", { device: identity.state.deviceId, status });
  }

  /** Another host takes over in the middle of a run: its keys may be half written, so it starts afresh. */
  restartUnder(nowMs: number): void {
    const { identity, sessions } = this.#parts;
    if (identity.state.status !== "pairing") return;
    if (sessions.hasRows(identity.state.generation)) this.#nextGeneration(nowMs);
    identity.patch({ pairingQr: null, pairingCode: null, pairingExpiresMs: null, control: null });
  }

  shown(fact: Extract<Fact, { kind: "qr" | "pairing_code" }>): void {
    if (this.#parts.identity.state.status !== "pairing") return;
    this.#parts.identity.patch({
      pairingQr: fact.kind === "qr" ? fact.qr : null,
      pairingCode: fact.kind === "pairing_code" ? fact.code : null,
      pairingExpiresMs: fact.expiresAtMs,
    });
  }

  /** The scan was verified. Messages written for another phone are not sent from this one. */
  finish(fact: Extract<Fact, { kind: "paired" }>, nowMs: number): void {
    const { identity, outbox, judgement, events, transaction } = this.#parts;
    const { state } = identity;
    if (state.status !== "pairing") return;
    transaction(() => {
      if (state.phone !== null && state.phone !== fact.phone) {
        this.#parts.restriction.forget();
        this.#eachWaiting((row) => {
          judgement.apply(row, { kind: "withdrawn", reason: "device_repaired" }, {}, nowMs);
        });
      }
      outbox.moveWaitingTo(state.generation);
      identity.become("reconnecting", {
        ...NO_RUN,
        paired: 1,
        phone: fact.phone,
        lid: fact.lid,
        greet: 1,
      });
      events.add({ type: "device.paired", phone: fact.phone }, nowMs);
    });
    logInfo("device paired", { device: state.deviceId });
  }

  /** After a welcome: the command that the host has not received goes again. */
  sendAgain(epoch: number, lastCommandSeq: number): void {
    const { state } = this.#parts.identity;
    const wanted =
      state.status === "pairing" ? "pair" : state.unlinkingSinceMs !== null ? "unlink" : null;
    if (wanted === null) return;
    const control = state.control === null ? null : (JSON.parse(state.control) as Control);
    const received =
      control?.kind === wanted && control.epoch === epoch && control.seq <= lastCommandSeq;
    if (!received) this.#command(wanted);
  }

  run(nowMs: number): void {
    const { state } = this.#parts.identity;
    const runEndsMs = this.nextMs();
    if (runEndsMs === null || runEndsMs > nowMs) return;
    if (state.status === "pairing" || state.unlinkingSinceMs !== null) this.park("unpaired", nowMs);
  }

  nextMs(): number | null {
    const { state } = this.#parts.identity;
    if (state.unlinkingSinceMs !== null) return state.unlinkingSinceMs + UNLINK_MAX_MS;
    if (state.status === "pairing" && state.pairingSinceMs !== null) {
      return state.pairingSinceMs + RUN_MAX_MS;
    }
    return null;
  }

  #command(kind: Control["kind"]): void {
    const { identity, bridge, commands } = this.#parts;
    const { epoch } = identity.state;
    const socket = bridge.current(epoch);
    if (socket === null) return;
    const seq = bridge.nextCommandSeq(socket);
    identity.patch({ control: JSON.stringify({ kind, epoch, seq } satisfies Control) });
    const phone = identity.state.pairingPhone;
    commands.push(() => ({
      epoch,
      seq,
      command: kind === "pair" ? { kind, phone } : { kind },
    }));
  }

  #nextGeneration(nowMs: number): void {
    const { identity, sessions, expectRetention } = this.#parts;
    const { generation } = identity.state;
    sessions.archive(generation, nowMs);
    identity.patch({ generation: generation + 1 });
    expectRetention(nowMs);
  }

  #withdrawWaiting(nowMs: number): void {
    this.#eachWaiting((row) => {
      const reason = "device_deleted";
      this.#parts.judgement.apply(row, { kind: "withdrawn", reason }, {}, nowMs);
    });
  }

  #eachWaiting(act: (row: MessageRow) => void): void {
    let afterId = Number.MIN_SAFE_INTEGER;
    for (;;) {
      const rows = this.#parts.outbox.waitingAfter(afterId, PAGE);
      const last = rows.at(-1);
      if (last === undefined) return;
      rows.forEach(act);
      afterId = last.id;
    }
  }
}
