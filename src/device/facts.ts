/**
 * What a fact from a host means for this device. Acknowledgements, receipts and results are believed from any
 * epoch, since they only ever rise; what the session does, only from the current one. Repeating a fact changes
 * nothing. Refuses to touch keys.
 */
import type { Fact } from "../bridge/device-frames.ts";
import { unreachable } from "../domain/result.ts";
import type { Counters } from "./counters.ts";
import type { DeviceNews } from "./device-news.ts";
import type { Epochs } from "./epochs.ts";
import type { Events } from "./events.ts";
import type { HandOver } from "./handover.ts";
import { isInHand } from "./handover.ts";
import type { Identity } from "./identity.ts";
import type { Judgement } from "./judgement.ts";
import { logAlert, logInfo, logWarning } from "../domain/log.ts";
import { newRow } from "./message-row.ts";
import type { Outbox } from "./outbox.ts";
import type { Pairing } from "./pairing.ts";
import type { Receipts } from "./receipts.ts";

/** The greeting is pointless later. */
const GREETING_LIFE_MS = 3_600_000;

export interface FactsParts {
  identity: Identity;
  outbox: Outbox;
  judgement: Judgement;
  counters: Counters;
  epochs: Epochs;
  handOver: HandOver;
  pairing: Pairing;
  receipts: Receipts;
  events: Events;
  news: DeviceNews;
}

/** Who says it: `n` is the fact's number under that epoch. */
export interface FactSource {
  epoch: number;
  n: number;
}

export class Facts {
  readonly #parts: FactsParts;

  constructor(parts: FactsParts) {
    this.#parts = parts;
  }

  apply(fact: Fact, source: FactSource, nowMs: number): void {
    const { receipts, news } = this.#parts;
    switch (fact.kind) {
      case "ack":
        receipts.acknowledged(fact, source.epoch, nowMs);
        return;
      case "receipt":
        receipts.received(fact, nowMs);
        return;
      case "send_result":
        this.#sendResult(fact, source, nowMs);
        return;
      case "unrestricted":
        return;
      case "restricted":
      case "session":
      case "qr":
      case "pairing_code":
      case "paired":
      case "drained":
        this.#ofSession(fact, source, nowMs);
        news.run(nowMs);
        return;
      default:
        unreachable(fact);
    }
  }

  /** Only the current epoch's session is this phone's, and each of its facts counts once. */
  #ofSession(
    fact: Extract<
      Fact,
      { kind: "session" | "qr" | "pairing_code" | "paired" | "drained" | "restricted" }
    >,
    source: FactSource,
    nowMs: number,
  ): void {
    const { identity, epochs, pairing, handOver } = this.#parts;
    const known = epochs.row(source.epoch);
    if (source.epoch !== identity.state.epoch || known === null || source.n <= known.factN) return;
    epochs.setFactN(source.epoch, source.n);
    switch (fact.kind) {
      case "session":
        this.#session(fact, nowMs);
        return;
      case "qr":
      case "pairing_code":
        pairing.shown(fact);
        return;
      case "paired":
        pairing.finish(fact, nowMs);
        return;
      case "drained":
        identity.patch({ drainedMs: nowMs });
        handOver.pump(nowMs);
        return;
      case "restricted":
        this.#restricted(fact, nowMs);
        return;
      default:
        unreachable(fact);
    }
  }

  #session(fact: Extract<Fact, { kind: "session" }>, nowMs: number): void {
    const { identity, handOver } = this.#parts;
    const { state } = identity;
    identity.patch({ sessionEpoch: fact.state === "open" ? state.epoch : 0 });
    switch (fact.state) {
      case "open":
        if (state.paired === 0 || state.unlinkingSinceMs !== null) return;
        identity.become("connected");
        this.#greet(nowMs);
        handOver.pump(nowMs);
        return;
      case "connecting":
        if (state.status === "connected") identity.become("reconnecting");
        return;
      case "closed":
        this.#closed(fact, nowMs);
        return;
      default:
        unreachable(fact.state);
    }
  }

  #restricted({ untilMs }: Extract<Fact, { kind: "restricted" }>, nowMs: number): void {
    const { counters, events, identity } = this.#parts;
    counters.add("restricted");
    logWarning("account restricted", { device: identity.state.deviceId });
    events.add({ type: "device.restricted", untilMs, phone: identity.state.phone }, nowMs);
  }

  #closed(fact: Extract<Fact, { kind: "session" }>, nowMs: number): void {
    const { identity, pairing } = this.#parts;
    const { state } = identity;
    const isPaired = state.paired === 1;
    logInfo("session closed", {
      device: state.deviceId,
      reason: fact.reason,
      code: fact.code,
      by_whatsapp: fact.byWhatsApp,
    });
    if (state.unlinkingSinceMs !== null) {
      pairing.park("unpaired", nowMs);
      return;
    }
    switch (fact.reason) {
      case "logged_out":
        pairing.park(isPaired ? "logged_out" : "unpaired", nowMs);
        return;
      case "banned":
        pairing.park("banned", nowMs);
        return;
      case "pairing_expired":
        if (!isPaired) pairing.park("unpaired", nowMs);
        return;
      case "blocked":
      case "client_outdated":
      case "store_error":
        logAlert("session needs a person", { device: state.deviceId, reason: fact.reason });
        this.#parts.news.paused(fact.reason);
        if (isPaired) identity.become("paused");
        else pairing.park("unpaired", nowMs);
        return;
      case "replaced":
      case "lost":
      case "stopped":
      case null:
        if (isPaired) identity.become("reconnecting");
        return;
      default:
        unreachable(fact.reason);
    }
  }

  /** Once after every successful scan: a generation has at most one, so its number makes the id. */
  #greet(nowMs: number): void {
    const { identity, handOver, outbox } = this.#parts;
    const { state } = identity;
    if (state.greet === 0 || state.phone === null) return;
    identity.patch({ greet: 0 });
    const id = -state.generation;
    if (outbox.get(id) !== null) return;
    const greeting = {
      id,
      nonce: "",
      to: state.phone,
      text: `Device ID ${state.waid} connected`,
      category: "notification" as const,
      priceRupiah: 0,
      periodId: 0,
      acceptedMs: nowMs,
      dueMs: nowMs,
      expiresMs: nowMs + GREETING_LIFE_MS,
    };
    handOver.store([newRow(greeting, state.generation)], nowMs);
  }

  #sendResult(
    fact: Extract<Fact, { kind: "send_result" }>,
    source: FactSource,
    nowMs: number,
  ): void {
    const { outbox, judgement, handOver } = this.#parts;
    const row = outbox.get(fact.messageId);
    if (row === null || row.epoch !== source.epoch || !isInHand(row)) return;
    if (row.attempts !== fact.attempt) return;
    // A fact told again must not take back a later hand-over of the same attempt.
    if (row.takeBackN !== null && source.n <= row.takeBackN) return;
    switch (fact.outcome.kind) {
      case "not_sent":
        handOver.takeBack(row, source.n, nowMs);
        return;
      case "not_registered":
        judgement.apply(row, { kind: "not_registered", attempt: fact.attempt }, {}, nowMs);
        return;
      default:
        unreachable(fact.outcome);
    }
  }
}
