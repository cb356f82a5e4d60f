/**
 * Tells books that were set back what this device knows: every message it still has, page by page, with the device's
 * own frozen facts. Until it is through, nothing is handed over. What the books cannot take yet is tried again; an end
 * that they lack goes the usual way (flush.ts). Knows no SQL of the books and decides no ends.
 */
import type { Clock } from "../domain/clock.ts";
import type { RandomBytes } from "../domain/id.ts";
import { randomFraction } from "../domain/id.ts";
import { errorFields, logAlert, logWarning } from "../domain/log.ts";
import { invariant, unreachable } from "../domain/result.ts";
import type { MoneyEnd } from "../billing/message-end.ts";
import {
  REPOSTED_MAX,
  type DeviceOfBooks,
  type RepostAnswer,
  type RepostedMessage,
  type RepostObstacle,
} from "../billing/reposting.ts";
import type { Counters } from "./counters.ts";
import { isEnded, statusOf, type MoneyState } from "./evidence.ts";
import type { HandOver } from "./handover.ts";
import type { Identity } from "./identity.ts";
import type { BooksView, BooksWish } from "./interface.ts";
import { patchForBooks, type MessageRow } from "./message-row.ts";
import type { Outbox } from "./outbox.ts";

const LOST_AFTER_MS = 30_000;
const RETRY_MIN_MS = 1_000;
const RETRY_MAX_MS = 60_000;

/** How the books are told; both must be safe to repeat and end by themselves. */
export interface BooksToTell {
  repost: (device: DeviceOfBooks, messages: readonly RepostedMessage[]) => Promise<RepostAnswer[]>;
  finish: (
    device: DeviceOfBooks,
    known: { settingsRevision: number; closedMs: number | null },
  ) => Promise<void>;
}

export interface RepostParts {
  identity: Identity;
  outbox: Outbox;
  counters: Counters;
  books: BooksToTell;
  booksBehind: () => void;
  /** The books know all: what waits may go. */
  handOver: Pick<HandOver, "pump">;
  transaction: (work: () => void) => void;
  random: RandomBytes;
}

export class Repost {
  readonly #parts: RepostParts;
  #runningSinceMs: number | null = null;
  #failures = 0;
  #notBeforeMs = 0;

  constructor(parts: RepostParts) {
    this.#parts = parts;
  }

  /** What the operator wants of this device; must run in a transaction. */
  wish({ generation, heldSinceMs }: BooksWish): void {
    const { identity } = this.#parts;
    identity.patch({ heldSinceMs });
    if (generation === null || generation <= identity.state.booksGeneration) return;
    identity.patch({ booksGeneration: generation, repostAfter: 0, repostObstacle: null });
    this.#notBeforeMs = 0;
  }

  view(): BooksView {
    const { repostAfter, repostObstacle } = this.#parts.identity.state;
    return {
      left: repostAfter === null ? null : this.#parts.outbox.bookedCountAfter(repostAfter),
      obstacle: repostObstacle,
    };
  }

  nextMs(nowMs: number): number | null {
    if (this.#parts.identity.state.repostAfter === null) return null;
    // Should the object die in the middle of a call, something must wake it.
    if (this.#runningSinceMs !== null) return this.#runningSinceMs + LOST_AFTER_MS;
    return Math.max(nowMs, this.#notBeforeMs);
  }

  isDue(nowMs: number): boolean {
    const atMs = this.#runningSinceMs === null ? this.nextMs(nowMs) : null;
    return atMs !== null && atMs <= nowMs;
  }

  /** Page after page until all is told or the books cannot take more. */
  async run(clock: Clock): Promise<void> {
    while (this.isDue(clock())) {
      this.#runningSinceMs = clock();
      try {
        const obstacle = await this.#onePage(clock);
        if (obstacle === null) this.#failures = 0;
        else this.#later(clock());
      } catch (error) {
        logWarning("messages not posted again", errorFields(error));
        this.#later(clock());
      } finally {
        this.#runningSinceMs = null;
      }
    }
  }

  async #onePage(clock: Clock): Promise<RepostObstacle | null> {
    const { identity, outbox, books } = this.#parts;
    const { deviceId, accountId, booksGeneration, repostAfter } = identity.state;
    if (repostAfter === null) return null;
    const device = { deviceId, accountId };
    const rows = outbox.bookedAfter(repostAfter, REPOSTED_MAX);
    const answers = await books.repost(device, rows.map(factsOf));
    const isLast = rows.length < REPOSTED_MAX;
    if (isLast && answers.every(({ kind }) => kind !== "missing")) {
      const { settingsRev, closedMs } = identity.state;
      await books.finish(device, { settingsRevision: settingsRev, closedMs });
    }
    // A newer generation begins anew.
    if (identity.state.booksGeneration !== booksGeneration) return null;
    return this.#settle(rows, answers, isLast, clock());
  }

  #settle(
    rows: readonly MessageRow[],
    answers: readonly RepostAnswer[],
    isLast: boolean,
    nowMs: number,
  ): RepostObstacle | null {
    const { identity, outbox, transaction, booksBehind, handOver } = this.#parts;
    let obstacle: RepostObstacle | null = null;
    transaction(() => {
      let after = identity.state.repostAfter ?? 0;
      for (const [index, before] of rows.entries()) {
        const answer = answers[index];
        invariant(answer !== undefined, "every message is answered");
        if (answer.kind === "missing") {
          ({ obstacle } = answer);
          break;
        }
        const row = outbox.get(before.id);
        if (row !== null) this.#compare(row, answer);
        after = before.id;
      }
      const isThrough = isLast && obstacle === null;
      identity.patch({
        repostAfter: isThrough ? null : after,
        repostObstacle: obstacle,
        // The books may have forgotten how the phone stands.
        ...(isThrough ? { mirroredRev: -1 } : {}),
      });
      if (isThrough) handOver.pump(nowMs);
    });
    booksBehind();
    return obstacle;
  }

  /** An end that the books lack is dirty again, as if they had never confirmed it. */
  #compare(row: MessageRow, answer: Exclude<RepostAnswer, { kind: "missing" }>): void {
    const { outbox, counters } = this.#parts;
    if (answer.kind === "different") {
      counters.add("books_different");
      logAlert("books hold another message under this id", { message_id: row.id });
      return;
    }
    if (!isEnded(row.state)) return;
    if (answer.end === moneyOf(row.money)) return;
    outbox.patch(row, patchForBooks(row, { moneyDirty: 1, statusDirty: 1 }));
  }

  #later(nowMs: number): void {
    this.#failures += 1;
    const fullMs = Math.min(RETRY_MAX_MS, RETRY_MIN_MS * 2 ** Math.min(this.#failures - 1, 20));
    this.#notBeforeMs = nowMs + Math.ceil(fullMs * (0.5 + randomFraction(this.#parts.random) / 2));
  }
}

function factsOf(row: MessageRow): RepostedMessage {
  invariant(row.nonce !== null, "only messages that came whole are told");
  const money = moneyOf(row.money);
  invariant(money !== null || !isEnded(row.state), "an end says what became of the money");
  return {
    messageId: row.id,
    nonce: row.nonce,
    to: row.recipient,
    category: row.category,
    priceRupiah: row.priceRupiah,
    acceptedMs: row.acceptedMs,
    dueMs: row.dueMs,
    expiresMs: row.expiresMs,
    status: statusOf(row.state),
    reason: row.reason,
    rev: row.rev,
    endedMs: row.endedMs,
    money: money ?? "held",
  };
}

/** Null while the hold stands. */
function moneyOf(money: MoneyState): MoneyEnd | null {
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
