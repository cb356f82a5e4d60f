/**
 * The lease of one socket, pure: send times of pings in, pongs in, "may I act" out. The n-th pong answers the
 * n-th ping because the socket keeps order. Over when either clock shows more than the lease since the newest
 * answered ping was SENT, or when wall time ran backwards: a suspended laptop must not believe itself alive.
 * Reads no clock.
 */
import { LEASE_MS } from "../src/bridge/wire.ts";

export interface Moment {
  wallMs: number;
  monotonicMs: number;
}

/** More than this many unanswered pings means a dead socket; older ones are not worth remembering. */
const PINGS_MAX = 64;

export class Lease {
  readonly #lengthMs: number;
  #unanswered: Moment[] = [];
  #newestAnswered: Moment | null = null;

  constructor(lengthMs: number = LEASE_MS) {
    this.#lengthMs = lengthMs;
  }

  pinged(now: Moment): void {
    this.#unanswered.push(now);
  }

  /** A pong without a ping is ignored: it proves nothing. */
  ponged(): void {
    const ping = this.#unanswered.shift();
    if (ping !== undefined) this.#newestAnswered = ping;
  }

  /** True when so many pings went unanswered that the socket is no use. */
  hopeless(): boolean {
    return this.#unanswered.length >= PINGS_MAX;
  }

  /** A ping that was sent after this moment has been answered. */
  answeredSince(monotonicMs: number): boolean {
    return this.#newestAnswered !== null && this.#newestAnswered.monotonicMs > monotonicMs;
  }

  holds(now: Moment): boolean {
    const since = this.#newestAnswered;
    if (since === null) return false;
    const wall = now.wallMs - since.wallMs;
    const monotonic = now.monotonicMs - since.monotonicMs;
    return wall >= 0 && monotonic >= 0 && wall <= this.#lengthMs && monotonic <= this.#lengthMs;
  }
}
