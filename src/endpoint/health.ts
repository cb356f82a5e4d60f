/**
 * How an endpoint stands by the ends of its attempts: since when it fails, when the account is warned, when deliveries
 * stop, and when what failed before is tried again. Must run inside a transaction.
 */
import type { Notices } from "./notices.ts";
import type { EndpointRecord } from "./record.ts";

const HOUR_MS = 3_600_000;
export const WARN_AFTER_MS = 96 * HOUR_MS;
export const DISABLE_AFTER_MS = 120 * HOUR_MS;
/** A shorter failure is left to the schedule: it may be about one event only. */
export const OUTAGE_MIN_MS = 5 * 60_000;

export class Health {
  readonly #record: EndpointRecord;
  readonly #notices: Notices;

  constructor(record: EndpointRecord, notices: Notices) {
    this.#record = record;
    this.#notices = notices;
  }

  succeeded(nowMs: number): void {
    const { failingSinceMs } = this.#record.state;
    const outageOver = failingSinceMs !== null && nowMs - failingSinceMs >= OUTAGE_MIN_MS;
    this.#record.patch({
      lastDeliveredMs: nowMs,
      failingSinceMs: null,
      warnedMs: null,
      ...(outageOver ? { recoveredMs: nowMs } : {}),
    });
  }

  failed(nowMs: number): void {
    const failingSinceMs = this.#record.state.failingSinceMs ?? nowMs;
    this.#record.patch({ failingSinceMs });
    const failingForMs = nowMs - failingSinceMs;
    if (failingForMs >= WARN_AFTER_MS && this.#record.state.warnedMs === null) {
      this.#record.patch({ warnedMs: nowMs });
      this.#notices.willBeDisabled(nowMs);
    }
    if (failingForMs >= DISABLE_AFTER_MS) this.#disable("failing", nowMs);
  }

  gone(nowMs: number): void {
    this.#record.patch({ failingSinceMs: this.#record.state.failingSinceMs ?? nowMs });
    this.#disable("gone", nowMs);
  }

  #disable(reason: "failing" | "gone", nowMs: number): void {
    // Attempts that were under way end after the first of them decided.
    if (this.#record.state.disabledReason !== null) return;
    this.#record.patch({ disabledReason: reason, disabledMs: nowMs, recoveredMs: null });
    this.#notices.isDisabled(reason, nowMs);
  }
}
