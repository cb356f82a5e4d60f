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
/** A batch that has not ended by then leaves its place to another. Less than anybody waits. */
const BATCH_LOST_MS = 2_000;
/** With so many in a batch on average, whoever leads waits until that many are there, this long at most. */
const CROWD_SIZE = 1.2;
const GATHER_MS = 4;
/** After so long without a batch there is no crowd. */
const CALM_MS = 1_000;
const WAITING_MAX = 2_000;
const LOOK_MIN_MS = 1;
const LOOK_MAX_MS = 250;
/** Of the time that a batch should take. */
const LOOK_SHARE = 0.7;
/** Of the time that it is overdue. */
const LOOK_AGAIN_SHARE = 0.25;
const FIRST_GUESS_MS = 4;
/** No batch counts for more in the mean: what was slow once must not make later ones seem in time. */
const MEAN_MAX_MS = 250;
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

interface Batch {
  /** When D1 is asked. */
  sinceMs: number;
}

/** Too many requests wait for D1, or for too long: this one was in no batch and will be in none. */
export class NotAsked extends Error {
  constructor() {
    super("too many requests wait for D1");
    this.name = "NotAsked";
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
  /** Under way, the newest last. */
  #batches: Batch[] = [];
  #meanMs = FIRST_GUESS_MS;
  #meanSize = 1;
  #lastEndMs = 0;

  /**
   * The verdict on a request that has messages, or null when not all of it was accepted: some of it may have been. Throws
   * `NotAsked`, `BatchFailed`, or `DeadlinePassed` after `timeoutMs`; after the last two what became of it must be asked.
   */
  async accept(
    tools: GroupTools,
    request: AcceptRequest,
    { decideByMs }: AcceptTimes,
    timeoutMs: number,
  ): Promise<AcceptVerdict | null> {
    if (this.#waiting.length >= WAITING_MAX) throw new NotAsked();
    const mine: Member = { request, decideByMs, batchSinceMs: null, outcome: null };
    this.#waiting.push(mine);
    try {
      await this.#untilTold(tools, mine, timeoutMs);
    } finally {
      this.#giveUp(mine);
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
      if (nowMs >= untilMs) {
        if (mine.batchSinceMs !== null) throw new DeadlinePassed(timeoutMs);
        // Before anybody else runs: nobody may take along what is about to be refused.
        this.#giveUp(mine);
        throw new NotAsked();
      }
      if (mine.batchSinceMs === null && this.#hasRoom(nowMs)) {
        await withDeadline(this.#lead(tools, mine, nowMs), untilMs - nowMs);
      } else await pause(Math.min(this.#lookAgainMs(mine, nowMs), untilMs - nowMs));
    }
  }

  #giveUp(mine: Member): void {
    this.#waiting = this.#waiting.filter((member) => member !== mine);
  }

  #hasRoom(nowMs: number): boolean {
    this.#batches = this.#batches.filter(({ sinceMs }) => sinceMs > nowMs - BATCH_LOST_MS);
    const newest = this.#batches.at(-1);
    if (newest === undefined) return true;
    const isLate = nowMs - newest.sinceMs >= Math.max(LATE_MIN_MS, this.#meanMs * LATE_MEANS);
    return isLate && this.#batches.length < BATCHES_MAX;
  }

  /** Of the batch that it waits for, before its end and after: the later that is, the more seldom. */
  #lookAgainMs({ batchSinceMs }: Member, nowMs: number): number {
    const sinceMs = batchSinceMs ?? this.#batches.at(-1)?.sinceMs ?? nowMs;
    const leftMs = sinceMs + this.#meanMs * LOOK_SHARE - nowMs;
    const waitMs = leftMs > 0 ? leftMs : -leftMs * LOOK_AGAIN_SHARE;
    return Math.min(LOOK_MAX_MS, Math.max(LOOK_MIN_MS, waitMs));
  }

  /** One batch: whoever leads, and those who wait, the oldest first. Never throws: its members are told. */
  async #lead(tools: GroupTools, leader: Member, nowMs: number): Promise<void> {
    const gathers = this.#isCrowded(nowMs);
    const batch = { sinceMs: nowMs + (gathers ? GATHER_MS : 0) };
    this.#batches.push(batch);
    try {
      if (gathers) await this.#gather();
      const members = this.#take(leader);
      if (members.length > 0) await this.#decide(tools, batch, members);
    } finally {
      this.#batches = this.#batches.filter((one) => one !== batch);
      this.#lastEndMs = tools.clock();
    }
  }

  async #gather(): Promise<void> {
    for (let waitedMs = 0; waitedMs < GATHER_MS; waitedMs += LOOK_MIN_MS) {
      if (this.#waiting.length >= this.#meanSize) return;
      await pause(LOOK_MIN_MS);
    }
  }

  #isCrowded(nowMs: number): boolean {
    if (nowMs - this.#lastEndMs > CALM_MS) this.#meanSize = 1;
    return this.#meanSize >= CROWD_SIZE;
  }

  async #decide({ db, clock }: GroupTools, batch: Batch, members: Member[]): Promise<void> {
    const sinceMs = clock();
    batch.sinceMs = sinceMs;
    for (const member of members) member.batchSinceMs = sinceMs;
    this.#meanSize += (members.length - this.#meanSize) * NEWEST_SHARE;
    tell(members, await outcomesOf(db, members, sinceMs));
    const tookMs = Math.min(MEAN_MAX_MS, Math.max(0, clock() - sinceMs));
    this.#meanMs += (tookMs - this.#meanMs) * NEWEST_SHARE;
  }

  /** Nobody when the leader waits no longer: it was taken while it gathered, or given up. */
  #take(leader: Member): Member[] {
    if (!this.#waiting.includes(leader)) return [];
    const inLine = [leader, ...this.#waiting.filter((member) => member !== leader)];
    let rows = 0;
    const count = inLine.findIndex(({ request }) => {
      rows += request.messages.length;
      return rows > PACKETS_MAX;
    });
    this.#waiting = count < 0 ? [] : inLine.splice(count);
    return inLine;
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
