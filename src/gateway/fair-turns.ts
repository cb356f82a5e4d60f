/**
 * Turns for work that everybody's requests share: of one name so much at a time, the rest in line, a bounded number of
 * them. So a customer who floods waits for himself and not others for him. Memory of one isolate; it decides about load,
 * never about permission or money.
 *
 * No request wakes another: whatever a request holds is its own, and it may end in the middle of anything. Whoever waits
 * looks again by its own timer, the sooner the nearer its turn; who is not seen any more loses its place.
 */
import type { Clock } from "../domain/clock.ts";
import { pause } from "../domain/pause.ts";

export interface TurnRules {
  /** Of one name. */
  runningMax: number;
  /** With more than this in line it is one at a time: whoever sends that much waits for himself anyway. */
  crowdedAt: number;
  waitingMax: number;
  waitMaxMs: number;
  /** After this, work counts as lost with its request. */
  lostAfterMs: number;
}

const LOOK_MIN_MS = 1;
const LOOK_MAX_MS = 250;
/** Longer than from one look to the next. */
const UNSEEN_MS = 1_000;
/** With so many names it is looked which of them belong to requests that ended unseen. */
const NAMES_MANY = 10_000;
/** Of the time that the work before it should take. */
const LOOK_SHARE = 0.7;
const FIRST_GUESS_MS = 5;
/** How much the newest piece of work counts in the mean. */
const NEWEST_SHARE = 0.1;

interface Waiter {
  seenMs: number;
}

interface Line {
  /** When each piece of work began that is under way. */
  startedMs: number[];
  /** In the order in which they came. */
  waiting: Waiter[];
  /** How long a piece of work takes. */
  meanMs: number;
}

export class FairTurns {
  readonly #rules: TurnRules;
  readonly #clock: Clock;
  /** Names with work; gone when there is none. */
  readonly #lines = new Map<string, Line>();

  constructor(rules: TurnRules, clock: Clock) {
    this.#rules = rules;
    this.#clock = clock;
  }

  /** Names that have work, or had until their requests were lost. */
  get names(): number {
    return this.#lines.size;
  }

  /** The outcome of `work`, or null without having begun it: too much waits. */
  async run<T>(name: string, work: () => Promise<T>): Promise<T | null> {
    const isFree = this.#isFree(this.#lineOf(name));
    if (!isFree && !(await this.#turn(name))) return null;
    const line = this.#lineOf(name);
    const startedMs = this.#clock();
    line.startedMs.push(startedMs);
    try {
      return await work();
    } finally {
      this.#leave(name, line, startedMs);
    }
  }

  #isFree(line: Line): boolean {
    return line.waiting.length === 0 && this.#free(line) > 0;
  }

  #lineOf(name: string): Line {
    const known = this.#lines.get(name);
    if (known !== undefined) return known;
    if (this.#lines.size >= NAMES_MANY) this.#forgetLost();
    const made: Line = { startedMs: [], waiting: [], meanMs: FIRST_GUESS_MS };
    this.#lines.set(name, made);
    return made;
  }

  #forgetLost(): void {
    for (const [name, line] of this.#lines) {
      dropUnseen(line, this.#clock() - UNSEEN_MS);
      if (this.#free(line) > 0 && line.startedMs.length + line.waiting.length === 0) {
        this.#lines.delete(name);
      }
    }
  }

  /** Places free for who stands first, second and so on. */
  #free(line: Line): number {
    const { lostAfterMs } = this.#rules;
    const oldestMs = this.#clock() - lostAfterMs;
    if ((line.startedMs[0] ?? Number.POSITIVE_INFINITY) < oldestMs) {
      line.startedMs = line.startedMs.filter((startedMs) => startedMs >= oldestMs);
    }
    return this.#atOnce(line) - line.startedMs.length;
  }

  #atOnce(line: Line): number {
    const { runningMax, crowdedAt } = this.#rules;
    return line.waiting.length > crowdedAt ? 1 : runningMax;
  }

  /** False when its turn does not come in time. */
  async #turn(name: string): Promise<boolean> {
    const { waitingMax, waitMaxMs } = this.#rules;
    const { waiting } = this.#lineOf(name);
    if (waiting.length >= waitingMax) return false;
    const mine: Waiter = { seenMs: this.#clock() };
    waiting.push(mine);
    const untilMs = mine.seenMs + waitMaxMs;
    for (;;) {
      // Late itself, it may have been taken for gone, and its line with it: then it stood before whoever is there now.
      const line = this.#lineOf(name);
      mine.seenMs = this.#clock();
      dropUnseen(line, mine.seenMs - UNSEEN_MS);
      if (!line.waiting.includes(mine)) line.waiting.unshift(mine);
      const place = line.waiting.indexOf(mine);
      const isOver = mine.seenMs >= untilMs;
      if (isOver || place < this.#free(line)) {
        line.waiting.splice(place, 1);
        return !isOver;
      }
      const aheadMs = ((place + 1) / this.#atOnce(line)) * line.meanMs * LOOK_SHARE;
      await pause(Math.min(LOOK_MAX_MS, Math.max(LOOK_MIN_MS, aheadMs)));
    }
  }

  #leave(name: string, line: Line, startedMs: number): void {
    const place = line.startedMs.indexOf(startedMs);
    if (place >= 0) line.startedMs.splice(place, 1);
    line.meanMs += (this.#clock() - startedMs - line.meanMs) * NEWEST_SHARE;
    const isEmpty = line.startedMs.length + line.waiting.length === 0;
    // Lost for so long that its line was forgotten, it must not take another one away.
    if (isEmpty && this.#lines.get(name) === line) this.#lines.delete(name);
  }
}

/** Requests that ended while they waited. */
function dropUnseen(line: Line, sinceMs: number): void {
  while ((line.waiting[0]?.seenMs ?? Number.POSITIVE_INFINITY) < sinceMs) line.waiting.shift();
}
