/**
 * The only file that reads the wall clock. Everything else is handed a `Clock` or a `nowMs`,
 * so that tests move time instead of waiting for it.
 */
export type Clock = () => number;

/** Milliseconds since 1970 UTC. */
export const systemClock: Clock = () => Date.now();
