/**
 * Turns for work that everybody's requests share: of one name so much at a time, the rest in line, a bounded number of
 * them. So a customer who floods waits for himself and not others for him. Memory of one isolate; it decides about load,
 * never about permission or money.
 *
 * Requests of one isolate must not depend on each other's life: whoever waits has a timer of its own, and work that is
 * never heard of again gives its place back.
 */
import type { Clock } from "../domain/clock.ts";

export interface TurnRules {
  /** Of one name. */
  runningMax: number;
  waitingMax: number;
  waitMaxMs: number;
  /** After this, work counts as lost with its request. */
  lostAfterMs: number;
}

const WATCHDOG_MS = 300;

/** A place was given to it. */
interface Waiter {
  wake: () => void;
}

interface Line {
  /** When each piece of work began that is under way. */
  startedMs: number[];
  /** In the order in which they came. */
  waiting: Waiter[];
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

  /** The outcome of `work`, or null without having begun it: too much waits. */
  async run<T>(name: string, work: () => Promise<T>): Promise<T | null> {
    const line = this.#lineOf(name);
    const startedMs = await this.#place(line);
    if (startedMs === null) return null;
    try {
      return await work();
    } finally {
      this.#leave(name, line, startedMs);
    }
  }

  #lineOf(name: string): Line {
    const known = this.#lines.get(name);
    if (known !== undefined) return known;
    const made: Line = { startedMs: [], waiting: [] };
    this.#lines.set(name, made);
    return made;
  }

  /** When the place was taken; null when none comes in time. */
  async #place(line: Line): Promise<number | null> {
    const { waitingMax, waitMaxMs } = this.#rules;
    if (line.waiting.length === 0 && this.#hasRoom(line)) return this.#take(line);
    if (line.waiting.length >= waitingMax) return null;
    const mine: Waiter = { wake: () => undefined };
    line.waiting.push(mine);
    const untilMs = this.#clock() + waitMaxMs;
    while (this.#clock() < untilMs) {
      const { promise, resolve } = Promise.withResolvers<boolean>();
      mine.wake = () => resolve(true);
      const timer = setTimeout(() => resolve(false), Math.min(WATCHDOG_MS, waitMaxMs));
      const isGiven = await promise;
      clearTimeout(timer);
      if (isGiven) return line.startedMs.at(-1) ?? this.#clock();
      // Somebody may have left without a word.
      if (line.waiting[0] === mine && this.#hasRoom(line)) {
        line.waiting.shift();
        return this.#take(line);
      }
    }
    const place = line.waiting.indexOf(mine);
    if (place >= 0) line.waiting.splice(place, 1);
    return null;
  }

  #take(line: Line): number {
    const nowMs = this.#clock();
    line.startedMs.push(nowMs);
    return nowMs;
  }

  #leave(name: string, line: Line, startedMs: number): void {
    const place = line.startedMs.indexOf(startedMs);
    if (place >= 0) line.startedMs.splice(place, 1);
    const next = this.#hasRoom(line) ? line.waiting.shift() : undefined;
    if (next !== undefined) {
      this.#take(line);
      next.wake();
    }
    if (line.startedMs.length + line.waiting.length === 0) this.#lines.delete(name);
  }

  #hasRoom(line: Line): boolean {
    const { lostAfterMs, runningMax } = this.#rules;
    const oldestMs = this.#clock() - lostAfterMs;
    if ((line.startedMs[0] ?? Number.POSITIVE_INFINITY) < oldestMs) {
      line.startedMs = line.startedMs.filter((startedMs) => startedMs >= oldestMs);
    }
    return line.startedMs.length < runningMax;
  }
}
