/**
 * The Fleet's one alarm: the only file here that sets it. Knows when the object must act next and whether it was
 * kept from acting in time. Holds no rules about hosts or devices.
 */
import { RESTART_GRACE_MS } from "./placement.ts";

/** Armed before any work, so that a crash in the middle of it is followed by another run. */
const DEAD_MAN_MS = 30_000;
/** An alarm that is overdue by more than this is taken for lost. */
const LOST_AFTER_MS = 1_000;

type Row = { due_ms: number | null; listening_since_ms: number };

export class FleetAgenda {
  readonly #storage: DurableObjectStorage;
  #deadManMs = Number.POSITIVE_INFINITY;

  constructor(storage: DurableObjectStorage, nowMs: number) {
    this.#storage = storage;
    storage.sql.exec(
      "INSERT OR IGNORE INTO agenda (one, due_ms, listening_since_ms) VALUES (1, NULL, ?)",
      nowMs,
    );
    this.#noticeDelay(nowMs);
  }

  /** Nobody was listening before this time: a host's silence proves nothing about it. */
  get listeningSinceMs(): number {
    return this.#row().listening_since_ms;
  }

  listenFrom(nowMs: number): void {
    this.#storage.sql.exec("UPDATE agenda SET listening_since_ms = ?", nowMs);
  }

  /** Makes sure that the alarm rings at `dueMs` or earlier. */
  async armBy(dueMs: number, nowMs: number): Promise<void> {
    const armedMs = this.#row().due_ms;
    if (armedMs !== null && armedMs <= dueMs && nowMs - armedMs < LOST_AFTER_MS) return;
    await this.#set(dueMs);
  }

  /** At the start of an alarm. */
  async begin(nowMs: number): Promise<void> {
    this.#noticeDelay(nowMs);
    this.#deadManMs = nowMs + DEAD_MAN_MS;
    await this.#set(this.#deadManMs);
  }

  /** At its end: the next due time, or null when nothing is left to watch. */
  async finish(dueMs: number | null): Promise<void> {
    const armedMs = this.#row().due_ms;
    const wantedMeanwhileMs = armedMs !== null && armedMs < this.#deadManMs ? armedMs : null;
    this.#deadManMs = Number.POSITIVE_INFINITY;
    if (wantedMeanwhileMs !== null && (dueMs === null || wantedMeanwhileMs <= dueMs)) return;
    await this.#set(dueMs);
  }

  /** An alarm that is far too late means that this object was stopped, not the hosts. */
  #noticeDelay(nowMs: number): void {
    const armedMs = this.#row().due_ms;
    if (armedMs !== null && nowMs - armedMs > RESTART_GRACE_MS) this.listenFrom(nowMs);
  }

  async #set(dueMs: number | null): Promise<void> {
    this.#storage.sql.exec("UPDATE agenda SET due_ms = ?", dueMs);
    await (dueMs === null ? this.#storage.deleteAlarm() : this.#storage.setAlarm(dueMs));
  }

  #row(): Row {
    return this.#storage.sql.exec<Row>("SELECT due_ms, listening_since_ms FROM agenda").one();
  }
}
