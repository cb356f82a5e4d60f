/**
 * The object's one alarm, and the only file here that sets it. Remembers when it rings, so that arming it again
 * for a later time costs nothing; an alarm that rings too early finds nothing to do and arms the next one.
 */
/** After a failed run: rings even if the runtime gives up repeating it. */
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
    this.#ringsMs = dueMs;
    await this.#storage.setAlarm(dueMs);
  }

  /** At the start of a run. The runtime repeats a failed first run by itself; later ones need the dead man. */
  async begin(isRetry: boolean, nowMs: number): Promise<void> {
    this.#ringsMs = null;
    if (isRetry) await this.armBy(nowMs + DEAD_MAN_MS);
  }

  /** At its end: the earliest due time, overdue ones included. */
  async finish(dueMs: number | null, nowMs: number): Promise<void> {
    await this.armBy(dueMs === null ? null : Math.max(dueMs, nowMs + PAUSE_MS));
  }
}
