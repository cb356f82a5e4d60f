/**
 * What the gateway may ask about messages: take them over, withdraw them, tell where they stand. Every answer is
 * a stored verdict, so that asking again hears the same, also for an id that came first as a cancel.
 */
import { messageIdTimeMs } from "../domain/id.ts";
import type { MessageReason } from "../domain/message-status.ts";
import {
  isEnded,
  judge,
  NO_ACKNOWLEDGEMENT_LATEST_MS,
  RETRY_AFTER_MS,
  statusOf,
  type WithdrawnReason,
} from "./evidence.ts";
import type { DeviceNews } from "./device-news.ts";
import type { Events } from "./events.ts";
import { isHopeless, type Candidate, type InLine, type Line } from "./forecast.ts";
import type { HandOver } from "./handover.ts";
import type { Identity } from "./identity.ts";
import type { Inbound } from "./inbound.ts";
import type { EnqueueVerdict, MessageToEnqueue, MessageView } from "./interface.ts";
import type { Judgement } from "./judgement.ts";
import type { MessageRow } from "./message-row.ts";
import {
  emptyRow,
  factsOf,
  historyOf,
  isNameless,
  newRow,
  patchFor,
  verdictOf,
  waitingReason,
} from "./message-row.ts";
import type { Outbox } from "./outbox.ts";
import type { Pace } from "./pace.ts";
import type { Restriction } from "./restriction.ts";

/** An unknown message accepted longer ago than this is not sent: the object may have lost what it knew. */
const UNKNOWN_AGE_MAX_MS = 24 * 3_600_000;

/** What waits for one phone: at its pace more than a month of day and night. */
const WAITING_MAX = 500_000;

export interface MessagesParts {
  identity: Identity;
  outbox: Outbox;
  judgement: Judgement;
  handOver: HandOver;
  pace: Pace;
  line: Line;
  restriction: Restriction;
  inbound: Inbound;
  events: Events;
  news: DeviceNews;
  /** Rows were stored whose retention must run one day. */
  expectRetention: (nowMs: number) => void;
  booksBehind: () => void;
}

export class Messages {
  readonly #parts: MessagesParts;

  constructor(parts: MessagesParts) {
    this.#parts = parts;
  }

  enqueue(messages: readonly MessageToEnqueue[], nowMs: number): EnqueueVerdict[] {
    const { handOver, identity, expectRetention, inbound, news } = this.#parts;
    const inLine: InLine[] = [];
    const verdicts = new Map<MessageToEnqueue, EnqueueVerdict>();
    const fresh = new Map<number, { message: MessageToEnqueue; row: MessageRow }>();
    for (const message of messages) {
      const known = this.#known(message) ?? fresh.get(message.id)?.row ?? null;
      if (known !== null) verdicts.set(message, this.#again(known, message, nowMs));
      else {
        const row = newRow(message, identity.state.generation);
        const candidate = { ...row, textLength: message.text.length };
        const refusal = this.#refusalOf(candidate, inLine, nowMs);
        if (refusal === null) {
          fresh.set(message.id, { message, row });
          inLine.push(candidate);
        } else verdicts.set(message, this.#storeEnded(row, refusal, nowMs));
      }
    }
    if (fresh.size > 0) {
      expectRetention(nowMs);
      const rows = [...fresh.values()].map(({ row }) => row);
      handOver.store(rows, nowMs);
      for (const { recipient } of rows) inbound.writtenTo(recipient);
      news.stored(rows, nowMs);
    }
    return messages.map(
      (message) => verdicts.get(message) ?? { id: message.id, status: "pending", reason: null },
    );
  }

  /**
   * What a request whose acceptance could not be proved may bring is never taken. What is here already was not brought by
   * it, for it was refused, but by the same request again, which was answered yes: that stands.
   */
  abandon(ids: readonly number[], nonce: string | null, nowMs: number): void {
    const { outbox } = this.#parts;
    for (const id of ids) {
      const row = outbox.get(id);
      if (row === null) this.#withdraw(id, nonce, "abandoned", nowMs);
      else if (isNameless(row) && nonce !== null && row.nonce !== nonce) {
        // Two requests drew this id, and neither may bring it.
        outbox.patch(row, { nonce: null });
      }
    }
  }

  cancel(ids: readonly number[], by: "customer" | "operator", nowMs: number): EnqueueVerdict[] {
    const reason = by === "customer" ? "cancelled_by_customer" : "cancelled_by_operator";
    return ids.map((id) => this.#withdraw(id, null, reason, nowMs));
  }

  view(id: number, nowMs: number): MessageView | null {
    const row = this.#parts.outbox.get(id);
    // An id that came without its message has no story.
    if (row === null || isNameless(row)) return null;
    return {
      id: row.id,
      to: row.recipient,
      status: statusOf(row.state),
      reason: this.#reasonOf(row, nowMs),
      expectedAtMs: expectedAtMs(row, nowMs),
      priceRupiah: row.priceRupiah,
      history: historyOf(row),
    };
  }

  /** Why a message is not taken at all. `inLine`: its neighbours of the same call. */
  #refusalOf(
    candidate: Candidate & { id: number; acceptedMs: number },
    inLine: readonly InLine[],
    nowMs: number,
  ): WithdrawnReason | null {
    if (nowMs - messageIdTimeMs(candidate.id) > UNKNOWN_AGE_MAX_MS) return "stale";
    const { outbox, line, pace, identity, restriction } = this.#parts;
    if (identity.state.closedMs !== null) return "device_deleted";
    // Accepted by books that are about to be set back, or were: it would be money that they never held.
    const { heldSinceMs } = identity.state;
    if (heldSinceMs !== null && candidate.acceptedMs >= heldSinceMs) return "abandoned";
    if (outbox.waitingCount() + inLine.length >= WAITING_MAX) return "queue_too_long";
    if (restriction.holds(candidate) && (restriction.untilMs ?? 0) >= candidate.expiresMs) {
      return "account_restricted";
    }
    return isHopeless(candidate, line, inLine, pace, nowMs) ? "queue_too_long" : null;
  }

  /** The row under its id, unless that only keeps the place of another request's message. */
  #known(message: MessageToEnqueue): MessageRow | null {
    const row = this.#parts.outbox.get(message.id);
    if (row === null || !isNameless(row)) return row;
    if (row.nonce === null || row.nonce === message.nonce) return row;
    // D1 gave the id to this one, so the other can never come.
    this.#parts.outbox.remove(row);
    return null;
  }

  #again(row: MessageRow, message: MessageToEnqueue, nowMs: number): EnqueueVerdict {
    if (isNameless(row)) return this.#adopt(row, message, nowMs);
    // Another request drew the same id: its row is not touched, the newcomer is refused.
    if (row.nonce !== message.nonce) {
      return { id: message.id, status: "cancel", reason: "abandoned" };
    }
    return verdictOf(this.#parts.judgement.apply(row, { kind: "enqueued_again" }, {}, nowMs).row);
  }

  /** The message behind an id that was withdrawn before it came: now its hold can be given back. */
  #adopt(row: MessageRow, message: MessageToEnqueue, nowMs: number): EnqueueVerdict {
    const { outbox, booksBehind, events } = this.#parts;
    const { nonce, to, priceRupiah, periodId, acceptedMs, dueMs, expiresMs, category } = message;
    const known = {
      nonce,
      recipient: to,
      priceRupiah,
      periodId,
      acceptedMs,
      dueMs,
      expiresMs,
      category,
    };
    const adopted = outbox.change(
      { ...row, ...known },
      { moneyDirty: true, statusDirty: true },
      known,
      nowMs,
    );
    booksBehind();
    events.message(adopted, nowMs);
    return verdictOf(adopted);
  }

  #withdraw(
    id: number,
    nonce: string | null,
    reason: "abandoned" | "cancelled_by_customer" | "cancelled_by_operator",
    nowMs: number,
  ): EnqueueVerdict {
    const { outbox, judgement, identity } = this.#parts;
    const row = outbox.get(id);
    if (row === null) {
      const { generation } = identity.state;
      return this.#storeEnded(emptyRow(id, nonce, nowMs, generation), reason, nowMs);
    }
    return verdictOf(judgement.apply(row, { kind: "withdrawn", reason }, {}, nowMs).row);
  }

  #storeEnded(row: MessageRow, reason: WithdrawnReason, nowMs: number): EnqueueVerdict {
    const { outbox, expectRetention, booksBehind, events } = this.#parts;
    const { changes } = judge(factsOf(row), { kind: "withdrawn", reason }, nowMs);
    const ended = {
      ...row,
      ...(changes === null ? {} : patchFor(row, changes, { body: null }, nowMs)),
    };
    outbox.insert(ended);
    events.message(ended, nowMs);
    expectRetention(nowMs);
    if (ended.moneyDirty === 1) booksBehind();
    return verdictOf(ended);
  }

  #reasonOf(row: MessageRow, nowMs: number): MessageReason | null {
    switch (row.state) {
      case "queued":
        return waitingReason(row, this.#parts.identity.state.status, nowMs);
      case "handing":
        return "handed_over";
      case "maybe_sent":
        return nowMs < (row.lastHandoverMs ?? 0) + RETRY_AFTER_MS
          ? "handed_over"
          : "waiting_for_acknowledgement";
      case "sent":
      case "received":
      case "read":
      case "cancel":
      case "reject":
        return row.reason;
      default:
        return row.state satisfies never;
    }
  }
}

function expectedAtMs(row: MessageRow, nowMs: number): number | null {
  if (isEnded(row.state)) return null;
  if (row.state === "queued") return row.nextMs > nowMs ? row.nextMs : row.expiresMs;
  return (row.firstHandoverMs ?? nowMs) + NO_ACKNOWLEDGEMENT_LATEST_MS;
}
