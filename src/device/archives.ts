/**
 * Keys of former pairings are dropped a week after, unless the Fleet has seen many phones logged out at once and nobody has
 * looked yet. Asks only when there is something to drop; a Fleet that does not answer means no.
 */
import { errorFields, logWarning } from "../domain/log.ts";
import type { SessionStore } from "./session-store.ts";

const ARCHIVE_MS = 7 * 24 * 3_600_000;

export class Archives {
  readonly #sessions: SessionStore;
  readonly #mayDrop: () => Promise<boolean>;
  #dueMs: number | null = null;

  constructor(sessions: SessionStore, mayDrop: () => Promise<boolean>) {
    this.#sessions = sessions;
    this.#mayDrop = mayDrop;
  }

  /** Asked now and then; answers whether any keys of former pairings are kept. */
  look(nowMs: number): boolean {
    const oldestMs = this.#sessions.oldestArchiveMs();
    if (oldestMs !== null && oldestMs <= nowMs - ARCHIVE_MS) this.#dueMs = nowMs;
    return oldestMs !== null;
  }

  nextMs(): number | null {
    return this.#dueMs;
  }

  isDue(nowMs: number): boolean {
    return this.#dueMs !== null && this.#dueMs <= nowMs;
  }

  /** Without a yes nothing is dropped: it is asked again when retention looks the next time, also after a restart. */
  async run(clock: () => number): Promise<void> {
    this.#dueMs = null;
    try {
      if (await this.#mayDrop()) this.#sessions.dropArchives(clock() - ARCHIVE_MS);
    } catch (error) {
      logWarning("fleet not reached", errorFields(error));
    }
  }
}
