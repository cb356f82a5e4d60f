/**
 * The host's two clocks behind one type: wall time, which tells dates, and monotonic time, which tells how long.
 * The only file of the host that reads them; all others get a `Clock`.
 */
export interface Clock {
  wallMs(): number;
  /** Since some moment of this process; does not count while the machine is suspended. */
  monotonicMs(): number;
}

export const systemClock: Clock = {
  wallMs: () => Date.now(),
  monotonicMs: () => performance.now(),
};

/** Resolves after `ms`, or at once when `signal` fires; never rejects. */
export function pause(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted) {
      resolve();
      return;
    }
    const done = (): void => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal?.addEventListener("abort", done);
  });
}
