/**
 * What time alone does to messages: expiry while waiting, the end of the wait for a proof, and an epoch whose host
 * keeps a message without a word. Decides through the evidence table only.
 */
import { NO_ACKNOWLEDGEMENT_AFTER_MS, NO_ACKNOWLEDGEMENT_LATEST_MS } from "./evidence.ts";
import type { HandOver } from "./handover.ts";
import { isInHand } from "./handover.ts";
import type { Judgement } from "./judgement.ts";
import type { Outbox } from "./outbox.ts";

/** Longer than any host may take to send or to say that it did not. */
export const IN_HAND_MAX_MS = 180_000;
const EXPIRED_PER_RUN = 200;

export class Deadlines {
  readonly #outbox: Outbox;
  readonly #judgement: Judgement;
  readonly #handOver: HandOver;
  /** Ends the current epoch, so that its host can no longer send what it holds. */
  readonly #closeEpoch: (nowMs: number) => void;
  /** How long after a hand-over the books are worth a look. */
  readonly #flushDelayMs: number;

  constructor(
    outbox: Outbox,
    judgement: Judgement,
    handOver: HandOver,
    flushDelayMs: number,
    closeEpoch: (nowMs: number) => void,
  ) {
    this.#outbox = outbox;
    this.#judgement = judgement;
    this.#handOver = handOver;
    this.#flushDelayMs = flushDelayMs;
    this.#closeEpoch = closeEpoch;
  }

  run(nowMs: number): void {
    const { link } = this.#handOver;
    let stuck = false;
    for (const row of this.#outbox.undecided()) {
      this.#judgement.apply(row, { kind: "clock", link }, {}, nowMs);
      stuck ||= isInHand(row) && (row.lastHandoverMs ?? 0) + IN_HAND_MAX_MS <= nowMs;
    }
    if (stuck) this.#closeEpoch(nowMs);
    for (const row of this.#outbox.expired(nowMs, EXPIRED_PER_RUN)) {
      this.#judgement.apply(row, { kind: "clock", link }, {}, nowMs);
    }
  }

  nextMs(nowMs: number): number | null {
    const candidates: number[] = [];
    const expiryMs = this.#outbox.nextExpiryMs();
    if (expiryMs !== null) candidates.push(expiryMs);
    for (const row of this.#outbox.undecided()) {
      const { firstHandoverMs, lastHandoverMs } = row;
      if (firstHandoverMs === null || lastHandoverMs === null) continue;
      // One ring serves the flush of this message's end as well as the next deadline.
      const flushMs = lastHandoverMs + this.#flushDelayMs;
      if (flushMs > nowMs) candidates.push(flushMs);
      if (isInHand(row)) candidates.push(lastHandoverMs + IN_HAND_MAX_MS);
      const earlyMs = firstHandoverMs + NO_ACKNOWLEDGEMENT_AFTER_MS;
      const lateMs = firstHandoverMs + NO_ACKNOWLEDGEMENT_LATEST_MS;
      candidates.push(earlyMs > nowMs ? earlyMs : lateMs);
    }
    return candidates.length === 0 ? null : Math.min(...candidates);
  }
}
