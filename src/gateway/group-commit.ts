/**
 * Group commit: sends that come together share a batch of D1. D1 still decides each packet by itself; a request that was
 * not accepted whole is told so, and asks alone why. Holds no key, money or right, only who waits.
 *
 * No request wakes another: whatever a request holds is its own, and it may end in the middle of anything. Whoever waits looks
 * by its own timer what became of it, most often near the end of its batch, and leads the next batch itself, with its own
 * connection to D1, when there is room for one. Between requests passes plain data.
 */
import type { Clock } from "../domain/clock.ts";
import { DeadlinePassed, withDeadline } from "../domain/deadline.ts";
import { errorFields, type LogFields } from "../domain/log.ts";
import { pause } from "../domain/pause.ts";
import { invariant } from "../domain/result.ts";
import { acceptTogether, PACKETS_MAX, type AcceptRequest, type AcceptTimes } from "./accept.ts";
import type { AcceptVerdict } from "./accept-verdict.ts";

/** One batch is under way at a time; only beside a late one is another begun. */
const BATCHES_MAX = 4;
/** Late is what takes so many times the mean, and at least so long. */
const LATE_MEANS = 4;
const LATE_MIN_MS = 100;
/** With so many in a batch on average, whoever leads waits a moment for those who are about to come. */
const CROWD_SIZE = 1.2;
const GATHER_MS = 4;
/** A batch that has not ended by then counts as lost with its request. */
const BATCH_LOST_MS = 10_000;
const WAITING_MAX = 2_000;
const LOOK_MIN_MS = 1;
const LOOK_MAX_MS = 250;
/** Of the time that a batch should take. */
const LOOK_SHARE = 0.7;
/** Of the time that it is overdue. */
const LOOK_AGAIN_SHARE = 0.25;
const FIRST_GUESS_MS = 4;
/** How much the newest batch counts in the means. */
const NEWEST_SHARE = 0.1;

export interface GroupTools {
  db: D1Database;
  clock: Clock;
}

/** Null: not accepted whole. */
type Outcome = { ok: true; verdict: AcceptVerdict | null } | { ok: false; cause: LogFields };

interface Member {
  request: AcceptRequest;
  decideByMs: number;
  /** When its batch began; null while it waits for one. */
  batchSinceMs: number | null;
  outcome: Outcome | null;
}

/** More requests wait for D1 than are taken; nothing was asked. */
export class GroupFull extends Error {
  constructor() {
    super("too many requests wait for D1");
    this.name = "GroupFull";
  }
}

/** The batch threw, and may have been committed all the same. */
export class BatchFailed extends Error {
  /** What may be said about what was thrown, which is another request's. */
  readonly fields: LogFields;

  constructor(fields: LogFields) {
    super("an accepting batch failed");
    this.name = "BatchFailed";
    this.fields = fields;
  }
}

export class GroupCommit {
  /** Not yet in a batch, in the order in which they came. */
  #waiting: Member[] = [];
  /** When each batch was begun that is under way. */
  #batchesSinceMs: number[] = [];
  #meanMs = FIRST_GUESS_MS;
  #meanSize = 1;

  /**
   * The verdict on a request that has messages, or null when not all of it was accepted: some of it may have been. Throws
   * `GroupFull`, `BatchFailed`, or `DeadlinePassed` after `timeoutMs`; after the last two what became of it must be asked.
   */
  async accept(
    tools: GroupTools,
    request: AcceptRequest,
    { decideByMs }: AcceptTimes,
    timeoutMs: number,
  ): Promise<AcceptVerdict | null> {
    if (this.#waiting.length >= WAITING_MAX) throw new GroupFull();
    const mine: Member = { request, decideByMs, batchSinceMs: null, outcome: null };
    this.#waiting.push(mine);
    try {
      await this.#untilTold(tools, mine, timeoutMs);
    } finally {
      this.#waiting = this.#waiting.filter((member) => member !== mine);
    }
    const { outcome } = mine;
    invariant(outcome !== null, "whoever stopped waiting was told");
    if (outcome.ok) return outcome.verdict;
    throw new BatchFailed(outcome.cause);
  }

  async #untilTold(tools: GroupTools, mine: Member, timeoutMs: number): Promise<void> {
    const untilMs = tools.clock() + timeoutMs;
    while (mine.outcome === null) {
      const nowMs = tools.clock();
      if (nowMs >= untilMs) throw new DeadlinePassed(timeoutMs);
      if (mine.batchSinceMs === null && this.#hasRoom(nowMs)) {
        await withDeadline(this.#lead(tools, nowMs), untilMs - nowMs);
      } else await pause(Math.min(this.#lookAgainMs(mine, nowMs), untilMs - nowMs));
    }
  }

  #hasRoom(nowMs: number): boolean {
    this.#batchesSinceMs = this.#batchesSinceMs.filter((ms) => ms > nowMs - BATCH_LOST_MS);
    const newestMs = this.#batchesSinceMs.at(-1);
    if (newestMs === undefined) return true;
    const isLate = nowMs - newestMs >= Math.max(LATE_MIN_MS, this.#meanMs * LATE_MEANS);
    return isLate && this.#batchesSinceMs.length < BATCHES_MAX;
  }

  /** Of the batch that it waits for, before its end and after: the later that is, the more seldom. */
  #lookAgainMs({ batchSinceMs }: Member, nowMs: number): number {
    const sinceMs = batchSinceMs ?? this.#batchesSinceMs.at(-1) ?? nowMs;
    const leftMs = sinceMs + this.#meanMs * LOOK_SHARE - nowMs;
    const waitMs = leftMs > 0 ? leftMs : -leftMs * LOOK_AGAIN_SHARE;
    return Math.min(LOOK_MAX_MS, Math.max(LOOK_MIN_MS, waitMs));
  }

  /** One batch of those who wait, the oldest first. Never throws: its members are told. */
  async #lead(tools: GroupTools, sinceMs: number): Promise<void> {
    this.#batchesSinceMs.push(sinceMs);
    try {
      if (this.#meanSize >= CROWD_SIZE) await pause(GATHER_MS);
      await this.#decide(tools, this.#take());
    } finally {
      const place = this.#batchesSinceMs.indexOf(sinceMs);
      if (place >= 0) this.#batchesSinceMs.splice(place, 1);
    }
  }

  /** There may be nobody: whoever led beside this one has taken them all. */
  async #decide({ db, clock }: GroupTools, members: Member[]): Promise<void> {
    if (members.length === 0) return;
    const sinceMs = clock();
    for (const member of members) member.batchSinceMs = sinceMs;
    this.#meanSize += (members.length - this.#meanSize) * NEWEST_SHARE;
    tell(members, await outcomesOf(db, members, sinceMs));
    this.#meanMs += (clock() - sinceMs - this.#meanMs) * NEWEST_SHARE;
  }

  #take(): Member[] {
    let rows = 0;
    const count = this.#waiting.findIndex(({ request }) => {
      rows += request.messages.length;
      return rows > PACKETS_MAX;
    });
    return this.#waiting.splice(0, count < 0 ? this.#waiting.length : count);
  }
}

async function outcomesOf(db: D1Database, members: Member[], nowMs: number): Promise<Outcome[]> {
  const decideByMs = Math.min(...members.map((member) => member.decideByMs));
  const requests = members.map(({ request }) => request);
  try {
    const verdicts = await acceptTogether(db, requests, { nowMs, decideByMs });
    return verdicts.map((verdict) => ({ ok: true, verdict }));
  } catch (error) {
    const cause = errorFields(error);
    return members.map(() => ({ ok: false, cause }));
  }
}

function tell(members: Member[], outcomes: Outcome[]): void {
  for (const [index, member] of members.entries()) {
    const outcome = outcomes[index];
    invariant(outcome !== undefined, "every member of a batch is told");
    member.outcome = outcome;
  }
}
