/**
 * The one alarm of an object that uses this, and nothing else sets it. An alarm that rings too early finds nothing to do
 * and arms the next one.
 */
/** Armed before any work, so that a crash in the middle of it is followed by another run. */
const DEAD_MAN_MS = 60_000;
/** From one run to the next at the least, so that a job that cannot make progress does not spin. */
const PAUSE_MS = 250;

export class Agenda {
  readonly #storage: DurableObjectStorage;
  #ringsMs: number | null = null;

  constructor(storage: DurableObjectStorage) {
    this.#storage = storage;
  }

  /** After construction: what storage says counts. */
  async load(): Promise<void> {
    this.#ringsMs = await this.#storage.getAlarm();
  }

  /** Makes sure that it rings at `dueMs` or earlier; a time in the past rings at once. */
  async armBy(dueMs: number | null): Promise<void> {
    if (dueMs === null || (this.#ringsMs !== null && this.#ringsMs <= dueMs)) return;
    await this.#set(dueMs);
  }

  async begin(nowMs: number): Promise<void> {
    await this.#set(nowMs + DEAD_MAN_MS);
  }

  /** At the end of a run: the earliest due time, overdue ones included; none when nothing is left to do. */
  async finish(dueMs: number | null, nowMs: number): Promise<void> {
    if (dueMs !== null) {
      await this.#set(Math.max(dueMs, nowMs + PAUSE_MS));
      return;
    }
    this.#ringsMs = null;
    await this.#storage.deleteAlarm();
  }

  async #set(dueMs: number): Promise<void> {
    this.#ringsMs = dueMs;
    await this.#storage.setAlarm(dueMs);
  }
}
