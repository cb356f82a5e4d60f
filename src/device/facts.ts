/**
 * What a fact from a host means for this device. Acknowledgements, receipts and results are believed from any
 * epoch, since they only ever rise; what the session does, only from the current one. Repeating a fact changes
 * nothing. Refuses to touch keys.
 */
import type { Fact } from "../bridge/device-frames.ts";
import { unreachable } from "../domain/result.ts";
import type { DeviceNews } from "./device-news.ts";
import type { Epochs } from "./epochs.ts";
import { CODE_RESTRICTED } from "./evidence.ts";
import type { HandOver } from "./handover.ts";
import { isInHand } from "./handover.ts";
import type { Identity } from "./identity.ts";
import type { Judgement } from "./judgement.ts";
import type { Outbox } from "./outbox.ts";
import type { Pairing } from "./pairing.ts";
import type { Receipts } from "./receipts.ts";
import type { Restriction } from "./restriction.ts";
import type { SessionFacts } from "./session-facts.ts";

export interface FactsParts {
  identity: Identity;
  outbox: Outbox;
  judgement: Judgement;
  epochs: Epochs;
  handOver: HandOver;
  pairing: Pairing;
  receipts: Receipts;
  news: DeviceNews;
  session: SessionFacts;
  restriction: Restriction;
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
        this.#acknowledged(fact, source, nowMs);
        return;
      case "receipt":
        receipts.received(fact, nowMs);
        return;
      case "send_result":
        this.#sendResult(fact, source, nowMs);
        return;
      case "restricted":
      case "unrestricted":
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

  #acknowledged(fact: Extract<Fact, { kind: "ack" }>, source: FactSource, nowMs: number): void {
    const { receipts, restriction } = this.#parts;
    const isOurs = receipts.acknowledged(fact, source.epoch, nowMs);
    if (isOurs && fact.error === CODE_RESTRICTED) restriction.told(null, nowMs);
  }

  /** Only the current epoch's session is this phone's, and each of its facts counts once. */
  #ofSession(
    fact: Extract<
      Fact,
      {
        kind:
          | "session"
          | "qr"
          | "pairing_code"
          | "paired"
          | "drained"
          | "restricted"
          | "unrestricted";
      }
    >,
    source: FactSource,
    nowMs: number,
  ): void {
    const { identity, epochs, pairing, handOver, restriction } = this.#parts;
    const known = epochs.row(source.epoch);
    if (source.epoch !== identity.state.epoch || known === null || source.n <= known.factN) return;
    epochs.setFactN(source.epoch, source.n);
    switch (fact.kind) {
      case "session":
        this.#parts.session.apply(fact, nowMs);
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
        restriction.told(fact.untilMs, nowMs);
        return;
      case "unrestricted":
        restriction.toldFree(nowMs);
        return;
      default:
        unreachable(fact);
    }
  }

  #sendResult(
    fact: Extract<Fact, { kind: "send_result" }>,
    source: FactSource,
    nowMs: number,
  ): void {
    const { outbox, judgement, handOver, epochs } = this.#parts;
    const row = outbox.get(fact.messageId);
    if (row === null || row.epoch !== source.epoch || !isInHand(row)) return;
    if (row.attempts !== fact.attempt) return;
    // A fact told again must not take back a later hand-over of the same attempt.
    if (row.takeBackN !== null && source.n <= row.takeBackN) return;
    switch (fact.outcome.kind) {
      case "not_sent":
        // The next session of this epoch numbers on from here, so that its own results are later ones.
        epochs.setFactN(source.epoch, source.n);
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
