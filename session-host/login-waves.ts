/**
 * Lets only so many logins run at once: after a restart all devices of a host come at the same moment, and each
 * login costs real CPU time. First come, first served; a place is given back once.
 */
export class LoginWaves {
  #free: number;
  #waiting: ((release: () => void) => void)[] = [];

  constructor(atOnce: number) {
    this.#free = atOnce;
  }

  /** `signal` leaves the line; then the promise resolves with null. */
  enter(signal: AbortSignal): Promise<(() => void) | null> {
    if (signal.aborted) return Promise.resolve(null);
    if (this.#free > 0) {
      this.#free -= 1;
      return Promise.resolve(this.#place());
    }
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
    });
  }

  #place(): () => void {
    let released = false;
    return () => {
      if (released) return;
      released = true;
      const next = this.#waiting.shift();
      if (next === undefined) this.#free += 1;
      else next(this.#place());
    };
  }
}
