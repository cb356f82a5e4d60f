/**
 * What is forgotten, and when: texts and answers at the end of the account's retention, delivered events after a week,
 * dead letters after 30 days, a former secret when its overlap ends. Runs a few times a day, a portion at a time. Must
 * run inside a transaction.
 */
import { logAlert } from "../domain/log.ts";
import type { AttemptLog } from "./attempt-log.ts";
import type { Queue, QueuedRow } from "./queue.ts";
import type { EndpointRecord } from "./record.ts";

const DAY_MS = 24 * 3_600_000;
const DELIVERED_KEPT_MS = 7 * DAY_MS;
const DEAD_KEPT_MS = 30 * DAY_MS;
const ATTEMPTS_KEPT_MS = 30 * DAY_MS;
const DELIVERED_MAX = 100_000;
/** The dead-letter list needs an end as well; whoever reaches it has lost interest for a million events. */
const DEAD_MAX = 1_000_000;
const INTERVAL_MS = 6 * 3_600_000;
const NEXT_PORTION_MS = 5_000;
const PORTION_MAX = 500;

export class Retention {
  readonly #sql: SqlStorage;
  readonly #record: EndpointRecord;
  readonly #queue: Queue;
  readonly #log: AttemptLog;

  constructor(sql: SqlStorage, record: EndpointRecord, queue: Queue, log: AttemptLog) {
    this.#sql = sql;
    this.#record = record;
    this.#queue = queue;
    this.#log = log;
  }

  /** Something was stored that must be forgotten one day. */
  expectWork(nowMs: number): void {
    if (this.#record.state.retentionMs === null) {
      this.#record.patch({ retentionMs: nowMs + INTERVAL_MS });
    }
  }

  nextMs(): number | null {
    const { retentionMs, formerSecretUntilMs } = this.#record.state;
    const times = [retentionMs, formerSecretUntilMs].filter((atMs) => atMs !== null);
    return times.length === 0 ? null : Math.min(...times);
  }

  run(nowMs: number): void {
    this.#record.dropFormerSecret(nowMs);
    const dueMs = this.#record.state.retentionMs;
    if (dueMs === null || dueMs > nowMs) return;
    const textsBeforeMs = nowMs - this.#record.settings.retentionMs;
    this.#log.forgetBefore(Math.max(textsBeforeMs, nowMs - ATTEMPTS_KEPT_MS));
    const portions = [
      this.#deleteDelivered(textsBeforeMs, nowMs - DELIVERED_KEPT_MS),
      this.#expire(textsBeforeMs, nowMs),
      this.#clearDead(textsBeforeMs),
      this.#deleteDead(nowMs - DEAD_KEPT_MS),
    ];
    const { waiting, delivered, dead } = this.#record.state;
    // What is under way when its time comes is ended as soon as its attempt is.
    const isSoon = Math.max(...portions) >= PORTION_MAX || this.#queue.waitsSince(textsBeforeMs);
    const keepsSomething = waiting + delivered + dead > 0 || this.#log.hasAny();
    this.#record.patch({
      retentionMs: isSoon ? nowMs + NEXT_PORTION_MS : keepsSomething ? nowMs + INTERVAL_MS : null,
    });
  }

  /** Their source forgot these events. One that waits, waits in vain. */
  forget(eventIds: readonly string[], nowMs: number): void {
    for (const id of eventIds) {
      const row = this.#sql
        .exec<QueuedRow & { state: string } & Record<string, SqlStorageValue>>(
          `SELECT n, id, type, order_key AS orderKey, at_ms AS atMs, attempts, bytes,
             flight_ms AS flightMs, state FROM events WHERE id = ?`,
          id,
        )
        .toArray()[0];
      if (row === undefined) continue;
      if (row.state === "waiting") this.#queue.bury(row, "forgotten", nowMs);
      else this.#sql.exec("UPDATE events SET data = NULL WHERE n = ?", row.n);
      this.#log.forgetAnswersTo(row.n);
    }
  }

  #deleteDelivered(textsBeforeMs: number, endedBeforeMs: number): number {
    const surplus = Math.max(0, this.#record.state.delivered - DELIVERED_MAX);
    const old = this.#numbers(
      `DELETE FROM events WHERE n IN (SELECT n FROM events
         WHERE state = 'delivered' AND (accepted_ms <= ? OR ended_ms <= ?) ORDER BY n LIMIT ?)
       RETURNING n`,
      textsBeforeMs,
      endedBeforeMs,
      PORTION_MAX,
    );
    const over = this.#numbers(
      `DELETE FROM events WHERE n IN (SELECT n FROM events
         WHERE state = 'delivered' ORDER BY n LIMIT ?) RETURNING n`,
      Math.min(Math.max(0, surplus - old.length), PORTION_MAX),
    );
    for (const n of [...old, ...over]) this.#log.forgetAnswersTo(n);
    const { delivered } = this.#record.state;
    this.#record.patch({ delivered: delivered - old.length - over.length });
    return Math.max(old.length, over.length);
  }

  /** An event that could not be delivered in all that time. */
  #expire(textsBeforeMs: number, nowMs: number): number {
    const rows = this.#queue.waitingSince(textsBeforeMs, PORTION_MAX);
    for (const row of rows) {
      this.#queue.bury(row, "expired", nowMs);
      this.#log.forgetAnswersTo(row.n);
    }
    return rows.length;
  }

  #clearDead(textsBeforeMs: number): number {
    const cleared = this.#numbers(
      `UPDATE events SET data = NULL WHERE n IN (SELECT n FROM events
         WHERE state = 'dead' AND data IS NOT NULL AND accepted_ms <= ? LIMIT ?) RETURNING n`,
      textsBeforeMs,
      PORTION_MAX,
    );
    for (const n of cleared) this.#log.forgetAnswersTo(n);
    return cleared.length;
  }

  #deleteDead(endedBeforeMs: number): number {
    const surplus = Math.max(0, this.#record.state.dead - DEAD_MAX);
    if (surplus > 0) {
      const { endpointId } = this.#record.state;
      logAlert("dead letters over their bound", { endpoint: endpointId, surplus });
    }
    const deleted = this.#numbers(
      `DELETE FROM events WHERE n IN (
         SELECT n FROM events WHERE state = 'dead' AND ended_ms <= ?1 ORDER BY n LIMIT ?2)
       OR n IN (SELECT n FROM events WHERE state = 'dead' ORDER BY n LIMIT ?3) RETURNING n`,
      endedBeforeMs,
      PORTION_MAX,
      Math.min(surplus, PORTION_MAX),
    );
    this.#record.patch({ dead: this.#record.state.dead - deleted.length });
    return deleted.length;
  }

  #numbers(query: string, ...values: number[]): number[] {
    return this.#sql
      .exec<{ n: number }>(query, ...values)
      .toArray()
      .map(({ n }) => n);
  }
}
