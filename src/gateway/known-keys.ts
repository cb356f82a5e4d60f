/**
 * Whose the keys are by which sends were decided here: tells who waits in one line, and permits nothing. Only what D1
 * decided gets in, so nobody can put himself into another's line by naming his device. Bounded; lost with the isolate.
 */
import { BoundedMap } from "../domain/bounded-map.ts";

const ENTRIES_MAX = 10_000;

export class KnownKeys {
  readonly #accounts = new BoundedMap<string, number>(ENTRIES_MAX);

  /** An account has its keys for good. */
  remember(keyHash: string, accountId: number): void {
    this.#accounts.set(keyHash, accountId);
  }

  accountOf(keyHash: string): number | null {
    return this.#accounts.get(keyHash) ?? null;
  }
}
