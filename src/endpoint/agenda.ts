/**
 * The object's one alarm, and the only file here that sets it. Remembers when it rings, so that arming it again for a
 * later time costs nothing; an alarm that rings too early finds nothing to do and arms the next one.
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

  /** After construction, and for the watcher: alarms can be lost, so what storage says counts. */
  async load(): Promise<void> {
    this.#ringsMs = await this.#storage.getAlarm();
  }

  /** Makes sure that it rings at `dueMs` or earlier; a time in the past rings at once. */
  async armBy(dueMs: number | null): Promise<void> {
    if (dueMs === null || (this.#ringsMs !== null && this.#ringsMs <= dueMs)) return;
    await this.#set(dueMs);
  }

  /** At the start of a run. */
  async begin(nowMs: number): Promise<void> {
    await this.#set(nowMs + DEAD_MAN_MS);
  }

  /** At its end: the earliest due time, overdue ones included; none when nothing is left to do. */
  async finish(dueMs: number | null, nowMs: number): Promise<void> {
    if (dueMs === null) await this.clear();
    else await this.#set(Math.max(dueMs, nowMs + PAUSE_MS));
  }

  async clear(): Promise<void> {
    this.#ringsMs = null;
    await this.#storage.deleteAlarm();
  }

  async #set(dueMs: number): Promise<void> {
    this.#ringsMs = dueMs;
    await this.#storage.setAlarm(dueMs);
  }
}
