/**
 * The one seam that every call to D1, to another object, over the bridge and to a customer's server passes. In
 * production it does nothing but call. A test installs a saboteur that counts the calls of a send and kills the
 * caller before the k-th takes effect, after it, or with its answer lost. It refuses to know what is called.
 */
export interface Crossing {
  /** Which boundary is crossed. */
  kind: "d1" | "object" | "bridge" | "http";
  /** Static name of the call, such as `accept` or `device.enqueue`; never data. */
  name: string;
}

/** Gets the crossing and the call; must return the call's value or throw. */
export type Saboteur = <T>(crossing: Crossing, call: () => Promise<T>) => Promise<T>;

let saboteur: Saboteur | null = null;

/** For tests only: put a saboteur between every caller and what it calls; null removes it. */
export function setSaboteur(next: Saboteur | null): void {
  saboteur = next;
}

export function cross<T>(kind: Crossing["kind"], name: string, call: () => Promise<T>): Promise<T> {
  return saboteur === null ? call() : saboteur({ kind, name }, call);
}
