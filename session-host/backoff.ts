/**
 * How long to wait before the next attempt: full jitter under a doubling cap. Pure; chance is passed in.
 */
export interface BackoffOptions {
  firstMs: number;
  capMs: number;
  /** Never sooner than this, so that a lucky draw cannot make a busy loop. */
  floorMs: number;
}

/** `attempt` counts from 0; `random` is uniform in [0, 1). */
export function backoffMs(attempt: number, options: BackoffOptions, random: number): number {
  const cap = Math.min(options.capMs, options.firstMs * 2 ** Math.min(attempt, 30));
  return Math.max(options.floorMs, Math.floor(cap * random));
}
