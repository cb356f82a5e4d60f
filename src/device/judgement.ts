/**
 * Puts a piece of evidence to a stored message: asks the pure table, stores the change with its event, counts what
 * should not happen and tells the flush that the books are behind. The only caller of `judge` on stored rows.
 */
import type { Chats } from "./chats.ts";
import type { Counters } from "./counters.ts";
import type { EvidenceEvent, Outcome } from "./evidence.ts";
import { judge, statusOf } from "./evidence.ts";
import type { Events } from "./events.ts";
import type { MessagePatch, MessageRow } from "./message-row.ts";
import { factsOf } from "./message-row.ts";
import type { Outbox } from "./outbox.ts";

export class Judgement {
  readonly #outbox: Outbox;
  readonly #counters: Counters;
  readonly #events: Events;
  readonly #booksBehind: () => void;
  readonly #chats: Chats;

  constructor(
    outbox: Outbox,
    counters: Counters,
    events: Events,
    booksBehind: () => void,
    chats: Chats,
  ) {
    this.#chats = chats;
    this.#outbox = outbox;
    this.#counters = counters;
    this.#events = events;
    this.#booksBehind = booksBehind;
  }

  /** `beside` are columns to store together with a change; without a change nothing is stored. */
  apply(
    row: MessageRow,
    event: EvidenceEvent,
    beside: MessagePatch,
    nowMs: number,
  ): { row: MessageRow; outcome: Outcome } {
    const outcome = judge(factsOf(row), event, nowMs);
    if (outcome.note !== null) this.#counters.add(outcome.note);
    if (outcome.changes === null) return { row, outcome };
    const next = this.#outbox.change(row, outcome.changes, beside, nowMs);
    if (statusOf(next.state) !== statusOf(row.state)) {
      this.#events.message(next, nowMs);
      if (next.state === "sent" || next.state === "received" || next.state === "read") {
        this.#chats.learn(next.recipient);
      }
    }
    // That a text which is paid climbs on is no news to the books.
    const climbs = next.money === row.money && next.state !== row.state;
    if (!climbs && (next.moneyDirty === 1 || next.statusDirty === 1)) this.#booksBehind();
    return { row: next, outcome };
  }
}
