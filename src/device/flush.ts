/**
 * Carries ends of messages to the books in D1, some seconds' worth in one batch. A flag is cleared only by what
 * that batch read back; an end the books do not know stays and is told again, for 35 days at most; a different
 * end is an alert, never a loop. Decides no ends.
 */
import type { MessageEnd, MessageEndReadback, MoneyEnd } from "../billing/message-end.ts";
import type { RandomBytes } from "../domain/id.ts";
import { randomFraction } from "../domain/id.ts";
import { withDeadline } from "../domain/deadline.ts";
import { invariant, unreachable } from "../domain/result.ts";
import type { Counters } from "./counters.ts";
import type { MoneyState } from "./evidence.ts";
import { statusOf } from "./evidence.ts";
import { errorFields, logAlert, logWarning } from "../domain/log.ts";
import type { MessagePatch, MessageRow } from "./message-row.ts";
import { patchForBooks } from "./message-row.ts";
import type { Outbox } from "./outbox.ts";
import { KEPT_MS } from "./retention.ts";

const BATCH_MAX = 20;
/** Rows that wait for their hold stand aside; so many are looked past. */
const LOOK_MAX = 400;
const ATTEMPT_TIMEOUT_MS = 10_000;
const LOST_AFTER_MS = 30_000;
const RETRY_MIN_MS = 1_000;
const RETRY_MAX_MS = 300_000;
const NO_HOLD_RETRY_MAX_MS = 3_600_000;

export type RecordEnds = (ends: MessageEnd[]) => Promise<MessageEndReadback[]>;

export class Flush {
  readonly #outbox: Outbox;
  readonly #counters: Counters;
  readonly #accountId: number;
  readonly #recordEnds: RecordEnds;
  readonly #delayMs: number;
  readonly #random: RandomBytes;
  /** When the batch under way began; null while none is. */
  #runningSinceMs: number | null = null;
  #failures = 0;
  /** When the next batch is due; null while the books are level. */
  #dueMs: number | null = null;
  /** Ends noted since the last batch. */
  #noted = 0;
  readonly #aside = new Map<number, { tries: number; untilMs: number }>();

  constructor(
    outbox: Outbox,
    counters: Counters,
    accountId: number,
    recordEnds: RecordEnds,
    delayMs: number,
    random: RandomBytes,
  ) {
    this.#outbox = outbox;
    this.#counters = counters;
    this.#accountId = accountId;
    this.#recordEnds = recordEnds;
    this.#delayMs = delayMs;
    this.#random = random;
  }

  /** After construction: whatever was left is due. */
  resume(nowMs: number): void {
    if (this.#outbox.dirtyCount() > 0) this.#dueMs = nowMs;
  }

  /** An end was stored. */
  note(nowMs: number): void {
    this.#noted += 1;
    this.#dueMs ??= nowMs + this.#delayMs;
    if (this.#noted >= BATCH_MAX && this.#failures === 0) this.#dueMs = nowMs;
  }

  nextMs(): number | null {
    // Should the object die in the middle of a batch, something must wake it.
    return this.#runningSinceMs === null ? this.#dueMs : this.#runningSinceMs + LOST_AFTER_MS;
  }

  isDue(nowMs: number): boolean {
    return this.#runningSinceMs === null && this.#dueMs !== null && this.#dueMs <= nowMs;
  }

  /** An alarm rings for other reasons as well: whatever gathered goes along, unless the books were silent. */
  mayRun(nowMs: number): boolean {
    if (this.#failures > 0 || this.#aside.size > 0) return this.isDue(nowMs);
    return this.#runningSinceMs === null && this.#dueMs !== null;
  }

  /** One batch after the other until the books are level or the books do not answer. */
  async run(clock: () => number): Promise<void> {
    if (this.#runningSinceMs !== null) return;
    try {
      do this.#runningSinceMs = clock();
      while (await this.#oneBatch(clock));
    } finally {
      this.#runningSinceMs = null;
    }
  }

  /** Answers whether there may be more to do at once. */
  async #oneBatch(clock: () => number): Promise<boolean> {
    const rows = this.#next(clock());
    this.#noted = 0;
    if (rows.length === 0) {
      this.#dueMs = this.#nextAsideMs();
      return false;
    }
    try {
      const readback = await withDeadline(
        this.#recordEnds(rows.map((row) => this.#endOf(row))),
        ATTEMPT_TIMEOUT_MS,
      );
      this.#failures = 0;
      this.#settle(rows, readback, clock());
      return true;
    } catch (error) {
      this.#failures += 1;
      logWarning("ends not recorded", { ...errorFields(error), failures: this.#failures });
      this.#dueMs = clock() + this.#backoffMs(this.#failures, RETRY_MAX_MS);
      return false;
    }
  }

  #next(nowMs: number): MessageRow[] {
    return this.#outbox
      .dirty(Math.min(LOOK_MAX, BATCH_MAX + this.#aside.size))
      .filter((row) => (this.#aside.get(row.id)?.untilMs ?? 0) <= nowMs)
      .slice(0, BATCH_MAX);
  }

  #endOf(row: MessageRow): MessageEnd {
    invariant(row.nonce !== null, "an end without a nonce is never dirty");
    return {
      messageId: row.id,
      nonce: row.nonce,
      accountId: this.#accountId,
      money: row.moneyDirty === 1 ? moneyEnd(row.money) : null,
      status: statusOf(row.state),
      reason: row.reason,
      rev: row.rev,
      atMs: row.endedMs ?? row.acceptedMs,
    };
  }

  #settle(
    sent: readonly MessageRow[],
    readback: readonly MessageEndReadback[],
    nowMs: number,
  ): void {
    const answers = new Map(readback.map((answer) => [answer.messageId, answer]));
    for (const before of sent) {
      const row = this.#outbox.get(before.id);
      if (row === null) continue;
      const answer = answers.get(row.id);
      const flags = answer === undefined ? {} : this.#flags(before, row, answer, nowMs);
      this.#outbox.patch(row, patchForBooks(row, flags));
      const isLevel = { ...row, ...flags };
      if (isLevel.moneyDirty === 0 && isLevel.statusDirty === 0) this.#aside.delete(row.id);
      else this.#setAside(row, nowMs);
    }
  }

  #flags(
    before: MessageRow,
    row: MessageRow,
    answer: MessageEndReadback,
    nowMs: number,
  ): MessagePatch {
    switch (answer.money) {
      case "no_hold":
        return this.#giveUpIfOld(row, nowMs);
      case "different":
        this.#counters.add("books_different");
        logAlert("books hold a different end", { message_id: row.id, money: row.money });
        return { moneyDirty: 0, statusDirty: 0 };
      case "done":
      case "none":
        // Another end may have followed while this one was written; how far up a text climbed that is paid is not told.
        return before.money === row.money ? { moneyDirty: 0, statusDirty: 0 } : {};
      default:
        return unreachable(answer.money);
    }
  }

  #giveUpIfOld(row: MessageRow, nowMs: number): MessagePatch {
    if (nowMs - (row.endedMs ?? row.acceptedMs) < KEPT_MS) return {};
    this.#counters.add("books_given_up");
    return { moneyDirty: 0, statusDirty: 0 };
  }

  #setAside(row: MessageRow, nowMs: number): void {
    const tries = (this.#aside.get(row.id)?.tries ?? 0) + 1;
    this.#aside.set(row.id, {
      tries,
      untilMs: nowMs + this.#backoffMs(tries, NO_HOLD_RETRY_MAX_MS),
    });
  }

  #nextAsideMs(): number | null {
    const times = [...this.#aside.values()].map(({ untilMs }) => untilMs);
    return times.length === 0 ? null : Math.min(...times);
  }

  #backoffMs(tries: number, maxMs: number): number {
    const fullMs = Math.min(maxMs, RETRY_MIN_MS * 2 ** Math.min(tries - 1, 20));
    return Math.ceil(fullMs * (0.5 + randomFraction(this.#random) / 2));
  }
}

function moneyEnd(money: MoneyState): MoneyEnd | null {
  switch (money) {
    case "settled":
      return "settle";
    case "voided":
      return "void";
    case "refunded":
      return "refund";
    case "held":
    case "free":
      return null;
    default:
      return unreachable(money);
  }
}
