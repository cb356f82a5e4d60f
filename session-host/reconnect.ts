/**
 * When the next connection to WhatsApp may be tried: backoff with full jitter, and a limit on attempts in a window
 * that holds whatever the draws are. Pure; time and chance are passed in.
 */
import { backoffMs } from "./backoff.ts";
import type { BackoffOptions } from "./backoff.ts";

export interface ReconnectOptions {
  backoff: BackoffOptions;
  /** At most this many attempts in `windowMs`. */
  attemptsMax: number;
  windowMs: number;
  /** An open connection that held this long makes the past forgotten. */
  stableMs: number;
}

export const reconnectDefaults: ReconnectOptions = {
  backoff: { firstMs: 1_000, capMs: 300_000, floorMs: 100 },
  attemptsMax: 10,
  windowMs: 75_000,
  stableMs: 60_000,
};

export class ReconnectPlan {
  readonly #options: ReconnectOptions;
  #attempt = 0;
  #starts: number[] = [];
  #openedMs: number | null = null;

  /** `attemptsAgoMs`: what other hosts tried before us counts as ours. */
  constructor(options: ReconnectOptions, attemptsAgoMs: readonly number[], nowMs: number) {
    this.#options = options;
    this.#starts = attemptsAgoMs
      .map((agoMs) => nowMs - agoMs)
      .toSorted((one, other) => one - other)
      .slice(-options.attemptsMax);
  }

  started(nowMs: number): void {
    this.#openedMs = null;
    this.#starts = [...this.#starts, nowMs].slice(-this.#options.attemptsMax);
  }

  opened(nowMs: number): void {
    this.#openedMs = nowMs;
  }

  /** How long to wait from now. */
  afterClose(nowMs: number, random: number): number {
    if (this.#openedMs !== null && nowMs - this.#openedMs >= this.#options.stableMs)
      this.#attempt = 0;
    const waitMs = backoffMs(this.#attempt, this.#options.backoff, random);
    this.#attempt += 1;
    return Math.max(waitMs, this.windowWaitMs(nowMs));
  }

  /** How long the window alone keeps the next attempt waiting, whatever it is made for. */
  windowWaitMs(nowMs: number): number {
    const oldest = this.#starts[0];
    if (oldest === undefined || this.#starts.length < this.#options.attemptsMax) return 0;
    return Math.max(0, oldest + this.#options.windowMs - nowMs);
  }
}
