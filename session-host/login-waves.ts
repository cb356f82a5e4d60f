/**
 * Lets only so many logins run at once and begin in a second: after a restart all devices of a host come at the same
 * moment, each login costs real CPU time, and a WhatsApp that is down must not be stormed. First come, first served; a
 * place is given back once. The Fleet tells each host its share; the host's own limit holds where that is lower.
 */
import type { Clock } from "./clock.ts";

export interface LoginLimits {
  atOnce: number;
  perSecond: number;
}

/** What one host may do while no Fleet has told it its share. */
export const LOGIN_LIMITS: LoginLimits = { atOnce: 10, perSecond: 10 };

export class LoginWaves {
  readonly #clock: Clock;
  readonly #atOnceMax: number;
  #limits: LoginLimits;
  #inUse = 0;
  /** Monotonic: no login begins before this. */
  #nextMs = 0;
  #isStopped = false;
  #timer: NodeJS.Timeout | null = null;
  #waiting: ((release: () => void) => void)[] = [];

  constructor(clock: Clock, limits: LoginLimits = LOGIN_LIMITS) {
    this.#clock = clock;
    this.#atOnceMax = limits.atOnce;
    this.#limits = limits;
  }

  get waiting(): number {
    return this.#waiting.length;
  }

  get stopped(): boolean {
    return this.#isStopped;
  }

  /** From now on; logins under way are not touched. */
  limit(limits: LoginLimits): void {
    const atOnce = Math.min(limits.atOnce, this.#atOnceMax);
    const nextMs = this.#clock.monotonicMs() + 1000 / limits.perSecond;
    this.#nextMs = Math.min(this.#nextMs, nextMs);
    this.#limits = { ...limits, atOnce };
    this.#admit();
  }

  /** None begins until `resume`; who waits keeps waiting. */
  stop(): void {
    this.#isStopped = true;
  }

  resume(): void {
    this.#isStopped = false;
    this.#admit();
  }

  /** `signal` leaves the line; then the promise resolves with null. */
  enter(signal: AbortSignal): Promise<(() => void) | null> {
    if (signal.aborted) return Promise.resolve(null);
    return new Promise((resolve) => {
      const take = (release: () => void): void => {
        signal.removeEventListener("abort", leave);
        resolve(release);
      };
      const leave = (): void => {
        this.#waiting = this.#waiting.filter((other) => other !== take);
        resolve(null);
      };
      signal.addEventListener("abort", leave, { once: true });
      this.#waiting.push(take);
      this.#admit();
    });
  }

  #admit(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    while (!this.#isStopped && this.#waiting.length > 0 && this.#inUse < this.#limits.atOnce) {
      const nowMs = this.#clock.monotonicMs();
      if (nowMs < this.#nextMs) {
        this.#timer = setTimeout(() => this.#admit(), Math.ceil(this.#nextMs - nowMs));
        this.#timer.unref();
        return;
      }
      this.#nextMs = nowMs + 1000 / this.#limits.perSecond;
      this.#inUse += 1;
      this.#waiting.shift()?.(this.#place());
    }
  }

  #place(): () => void {
    let released = false;
    return () => {
      if (released) return;
      released = true;
      this.#inUse -= 1;
      this.#admit();
    };
  }
}
