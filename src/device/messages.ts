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
} from "./evidence.ts";
import type { HandOver } from "./handover.ts";
import type { Identity } from "./identity.ts";
import type { EnqueueVerdict, MessageToEnqueue, MessageView } from "./interface.ts";
import type { Judgement } from "./judgement.ts";
import type { MessageRow } from "./message-row.ts";
import { emptyRow, factsOf, historyOf, newRow, patchFor, verdictOf } from "./message-row.ts";
import type { Outbox } from "./outbox.ts";

/** An unknown message accepted longer ago than this is not sent: the object may have lost what it knew. */
const UNKNOWN_AGE_MAX_MS = 24 * 3_600_000;

export interface MessagesParts {
  identity: Identity;
  outbox: Outbox;
  judgement: Judgement;
  handOver: HandOver;
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
    const { outbox, handOver, identity, expectRetention } = this.#parts;
    const verdicts = new Map<MessageToEnqueue, EnqueueVerdict>();
    const fresh = new Map<number, { message: MessageToEnqueue; row: MessageRow }>();
    for (const message of messages) {
      const known = outbox.get(message.id) ?? fresh.get(message.id)?.row ?? null;
      if (known !== null) verdicts.set(message, this.#again(known, message, nowMs));
      else {
        const row = newRow(message, identity.state.generation);
        if (nowMs - messageIdTimeMs(message.id) > UNKNOWN_AGE_MAX_MS) {
          verdicts.set(message, this.#storeEnded(row, "stale", nowMs));
        } else fresh.set(message.id, { message, row });
      }
    }
    if (fresh.size > 0) {
      expectRetention(nowMs);
      handOver.store(
        [...fresh.values()].map(({ row }) => row),
        nowMs,
      );
    }
    return messages.map(
      (message) => verdicts.get(message) ?? { id: message.id, status: "pending", reason: null },
    );
  }

  /** Ids whose acceptance could not be proved are never sent. */
  abandon(ids: readonly number[], nowMs: number): void {
    for (const id of ids) this.#withdraw(id, "abandoned", nowMs);
  }

  cancel(ids: readonly number[], by: "customer" | "operator", nowMs: number): EnqueueVerdict[] {
    const reason = by === "customer" ? "cancelled_by_customer" : "cancelled_by_operator";
    return ids.map((id) => this.#withdraw(id, reason, nowMs));
  }

  view(id: number, nowMs: number): MessageView | null {
    const row = this.#parts.outbox.get(id);
    // An id that came without its message has no story.
    if (row === null || row.nonce === null) return null;
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

  #again(row: MessageRow, message: MessageToEnqueue, nowMs: number): EnqueueVerdict {
    if (row.nonce === null) return this.#adopt(row, message, nowMs);
    // Another request drew the same id: its row is not touched, the newcomer is refused.
    if (row.nonce !== message.nonce) {
      return { id: message.id, status: "cancel", reason: "abandoned" };
    }
    return verdictOf(this.#parts.judgement.apply(row, { kind: "enqueued_again" }, {}, nowMs).row);
  }

  /** The message behind an id that was withdrawn before it came: now its hold can be given back. */
  #adopt(row: MessageRow, message: MessageToEnqueue, nowMs: number): EnqueueVerdict {
    const { outbox, booksBehind } = this.#parts;
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
    return verdictOf(adopted);
  }

  #withdraw(
    id: number,
    reason: "abandoned" | "cancelled_by_customer" | "cancelled_by_operator",
    nowMs: number,
  ): EnqueueVerdict {
    const { outbox, judgement, identity } = this.#parts;
    const row = outbox.get(id);
    if (row === null) {
      return this.#storeEnded(emptyRow(id, nowMs, identity.state.generation), reason, nowMs);
    }
    return verdictOf(judgement.apply(row, { kind: "withdrawn", reason }, {}, nowMs).row);
  }

  #storeEnded(
    row: MessageRow,
    reason: "abandoned" | "cancelled_by_customer" | "cancelled_by_operator" | "stale",
    nowMs: number,
  ): EnqueueVerdict {
    const { outbox, expectRetention, booksBehind } = this.#parts;
    const { changes } = judge(factsOf(row), { kind: "withdrawn", reason }, nowMs);
    const ended = {
      ...row,
      ...(changes === null ? {} : patchFor(row, changes, { body: null }, nowMs)),
    };
    outbox.insert(ended);
    expectRetention(nowMs);
    if (ended.moneyDirty === 1) booksBehind();
    return verdictOf(ended);
  }

  #reasonOf(row: MessageRow, nowMs: number): MessageReason | null {
    switch (row.state) {
      case "queued":
        if (row.dueMs > nowMs) return "scheduled";
        return this.#parts.identity.state.status === "connected" ? "queued" : "device_offline";
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
