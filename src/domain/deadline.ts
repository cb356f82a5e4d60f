/**
 * An end to waiting. The work itself is not stopped: a call to another object cannot be taken back, so whoever
 * uses this must be able to live with a late effect. Clears its timer, which would keep an object awake.
 */
export class DeadlinePassed extends Error {
  constructor(timeoutMs: number) {
    super(`no answer within ${timeoutMs} ms`);
    this.name = "DeadlinePassed";
  }
}

/** The outcome of `work`, or a throw of `DeadlinePassed` when it takes longer than `timeoutMs`. */
export async function withDeadline<T>(work: Promise<T>, timeoutMs: number): Promise<T> {
  const { promise: deadline, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new DeadlinePassed(timeoutMs)), timeoutMs);
  try {
    return await Promise.race([work, deadline]);
  } finally {
    clearTimeout(timer);
  }
}
