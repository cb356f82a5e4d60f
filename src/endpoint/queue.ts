/**
 * The stored events and their order. Of the waiting events of one order key only the oldest, the head, may be tried; its
 * end makes the next one head. Everything is found by index, a few rows at a time: the queue's length costs no memory.
 * Calls nobody and knows no clock; must run inside a transaction.
 */
import type { WebhookEvent } from "../domain/event.ts";
import type { DeadReason } from "./interface.ts";
import type { EndpointRecord } from "./record.ts";

export interface QueuedRow {
  n: number;
  id: string;
  type: string;
  orderKey: string;
  atMs: number;
  attempts: number;
  bytes: number;
  flightMs: number | null;
}

const ROW = `n, id, type, order_key AS orderKey, at_ms AS atMs, attempts, bytes,
  flight_ms AS flightMs`;

/** What a stored row costs beside its data. */
const ROW_BYTES = 400;

export class Queue {
  readonly #sql: SqlStorage;
  readonly #record: EndpointRecord;

  constructor(sql: SqlStorage, record: EndpointRecord) {
    this.#sql = sql;
    this.#record = record;
  }

  /** `data` is the event's, sealed. An event that is known already is left as it is. */
  add(event: WebhookEvent, data: ArrayBuffer, nowMs: number): void {
    const bytes = data.byteLength + ROW_BYTES;
    const written = this.#sql.exec<{ n: number }>(
      `INSERT INTO events (id, type, order_key, at_ms, accepted_ms, state, head, attempts, bytes, data)
       VALUES (?, ?, ?, ?, ?, 'waiting', 0, 0, ?, ?) ON CONFLICT (id) DO NOTHING RETURNING n`,
      event.id,
      event.type,
      event.orderKey,
      event.atMs,
      nowMs,
      bytes,
      data,
    );
    if (written.toArray().length === 0) return;
    this.#count({ waiting: 1, waitingBytes: bytes });
    this.#chooseHead(event.orderKey, nowMs);
  }

  /** Something that cannot be delivered, now or ever: kept to be seen, without its content. */
  addDead(
    { id, type, atMs }: { id: string; type: string; atMs: number },
    reason: DeadReason,
    nowMs: number,
  ): void {
    const written = this.#sql.exec<{ n: number }>(
      `INSERT INTO events (id, type, order_key, at_ms, accepted_ms, state, head, attempts, ended_ms, dead_reason, bytes)
       VALUES (?1, ?2, ?1, ?3, ?4, 'dead', 0, 0, ?4, ?5, ?6)
       ON CONFLICT (id) DO NOTHING RETURNING n`,
      id,
      type,
      atMs,
      nowMs,
      reason,
      ROW_BYTES,
    );
    if (written.toArray().length > 0) this.#count({ dead: 1 });
  }

  get(n: number): QueuedRow | null {
    return this.#one(`SELECT ${ROW} FROM events WHERE n = ? AND state = 'waiting'`, n);
  }

  /** The sealed data of an event; null once forgotten. */
  data(n: number): ArrayBuffer | null {
    return (
      this.#sql
        .exec<{ data: ArrayBuffer | null }>("SELECT data FROM events WHERE n = ?", n)
        .toArray()[0]?.data ?? null
    );
  }

  /** The next to be tried, the longest due first. */
  nextDue(nowMs: number): QueuedRow | null {
    return this.#one(
      `SELECT ${ROW} FROM events
       WHERE head = 1 AND due_ms <= ? AND flight_ms IS NULL ORDER BY due_ms, n LIMIT 1`,
      nowMs,
    );
  }

  nextDueMs(): number | null {
    return (
      this.#sql
        .exec<{ dueMs: number }>(
          `SELECT due_ms AS dueMs FROM events
           WHERE head = 1 AND due_ms IS NOT NULL AND flight_ms IS NULL ORDER BY due_ms LIMIT 1`,
        )
        .toArray()[0]?.dueMs ?? null
    );
  }

  /** Attempts under way, as storage knows them. */
  inFlight(): QueuedRow[] {
    return this.#many(`SELECT ${ROW} FROM events WHERE flight_ms IS NOT NULL`);
  }

  flightCount(): number {
    return this.#sql
      .exec<{ count: number }>("SELECT COUNT(*) AS count FROM events WHERE flight_ms IS NOT NULL")
      .one().count;
  }

  /** The longest waiting, without those under way. */
  oldestWaiting(limit: number): QueuedRow[] {
    return this.#many(
      `SELECT ${ROW} FROM events WHERE state = 'waiting' AND flight_ms IS NULL ORDER BY n LIMIT ?`,
      limit,
    );
  }

  /** Accepted before that time and still not ended, without those under way. */
  waitingSince(acceptedBeforeMs: number, limit: number): QueuedRow[] {
    return this.#many(
      `SELECT ${ROW} FROM events
       WHERE state = 'waiting' AND accepted_ms <= ? AND flight_ms IS NULL ORDER BY n LIMIT ?`,
      acceptedBeforeMs,
      limit,
    );
  }

  /** Accepted before that time and not ended, under way or not. */
  waitsSince(acceptedBeforeMs: number): boolean {
    return (
      this.#sql
        .exec(
          "SELECT 1 FROM events WHERE state = 'waiting' AND accepted_ms <= ? LIMIT 1",
          acceptedBeforeMs,
        )
        .toArray().length > 0
    );
  }

  depart(row: QueuedRow, nowMs: number): void {
    this.#sql.exec(
      "UPDATE events SET attempts = attempts + 1, flight_ms = ? WHERE n = ?",
      nowMs,
      row.n,
    );
  }

  /** `failedMs` null: the receiver named the time, so nothing may bring it forward. */
  retryAt(row: QueuedRow, dueMs: number, failedMs: number | null): void {
    this.#sql.exec(
      "UPDATE events SET due_ms = ?, failed_ms = ?, flight_ms = NULL WHERE n = ?",
      dueMs,
      failedMs,
      row.n,
    );
    // A replay may have put an older one of the key into the queue meanwhile.
    this.#chooseHead(row.orderKey, dueMs);
  }

  delivered(row: QueuedRow, nowMs: number): void {
    this.#sql.exec(
      `UPDATE events SET state = 'delivered', head = 0, due_ms = NULL, flight_ms = NULL, ended_ms = ?
       WHERE n = ?`,
      nowMs,
      row.n,
    );
    this.#count({ waiting: -1, waitingBytes: -row.bytes, delivered: 1 });
    this.#chooseHead(row.orderKey, nowMs);
  }

  bury(row: QueuedRow, reason: DeadReason, nowMs: number): void {
    this.#sql.exec(
      `UPDATE events SET state = 'dead', head = 0, due_ms = NULL, flight_ms = NULL, ended_ms = ?1,
         dead_reason = ?2, data = CASE WHEN ?2 IN ('expired', 'forgotten') THEN NULL ELSE data END
       WHERE n = ?3`,
      nowMs,
      reason,
      row.n,
    );
    this.#count({ waiting: -1, waitingBytes: -row.bytes, dead: 1 });
    this.#chooseHead(row.orderKey, nowMs);
  }

  /** Settings changed and this receiver has no use for it any more. */
  drop(row: QueuedRow, nowMs: number): void {
    this.#sql.exec("DELETE FROM events WHERE n = ?", row.n);
    this.#count({ waiting: -1, waitingBytes: -row.bytes });
    this.#chooseHead(row.orderKey, nowMs);
  }

  /** Puts an ended event at its old place in the order of its key; its schedule starts anew. */
  again(
    row: { n: number; orderKey: string; bytes: number },
    from: "delivered" | "dead",
    nowMs: number,
  ): void {
    this.#sql.exec(
      `UPDATE events SET state = 'waiting', head = 0, due_ms = NULL, attempts = 0, failed_ms = NULL,
         ended_ms = NULL, dead_reason = NULL WHERE n = ?`,
      row.n,
    );
    this.#count({ waiting: 1, waitingBytes: row.bytes, [from]: -1 });
    this.#chooseHead(row.orderKey, nowMs);
  }

  /** Some of the events that failed before `beforeMs` become due, with that try given back. Answers how many. */
  bringForward(beforeMs: number, nowMs: number, limit: number): number {
    return this.#sql
      .exec(
        `UPDATE events SET due_ms = ?1, failed_ms = NULL, attempts = MAX(attempts - 1, 0) WHERE n IN (
           SELECT n FROM events
           WHERE head = 1 AND due_ms > ?1 AND failed_ms < ?2 AND flight_ms IS NULL
           ORDER BY due_ms LIMIT ?3) RETURNING n`,
        nowMs,
        beforeMs,
        limit,
      )
      .toArray().length;
  }

  /** The oldest waiting event of a key is its head, unless one of the key is under way. */
  #chooseHead(orderKey: string, dueMs: number): void {
    const rows = this.#sql
      .exec<{ n: number; head: number }>(
        `SELECT n, head FROM events WHERE state = 'waiting' AND order_key = ?1
           AND NOT EXISTS (SELECT 1 FROM events INDEXED BY events_in_flight
             WHERE flight_ms IS NOT NULL AND order_key = ?1)
         ORDER BY n LIMIT 1`,
        orderKey,
      )
      .toArray();
    const first = rows[0];
    if (first === undefined || first.head === 1) return;
    this.#sql.exec("UPDATE events SET head = 0 WHERE order_key = ? AND head = 1", orderKey);
    this.#sql.exec(
      "UPDATE events SET head = 1, due_ms = COALESCE(due_ms, ?) WHERE n = ?",
      dueMs,
      first.n,
    );
  }

  #count(change: Partial<Record<"waiting" | "waitingBytes" | "delivered" | "dead", number>>): void {
    const { waiting, waitingBytes, delivered, dead } = this.#record.state;
    this.#record.patch({
      waiting: waiting + (change.waiting ?? 0),
      waitingBytes: waitingBytes + (change.waitingBytes ?? 0),
      delivered: delivered + (change.delivered ?? 0),
      dead: dead + (change.dead ?? 0),
    });
  }

  #one(query: string, ...values: SqlStorageValue[]): QueuedRow | null {
    return this.#many(query, ...values)[0] ?? null;
  }

  #many(query: string, ...values: SqlStorageValue[]): QueuedRow[] {
    return this.#sql.exec<QueuedRow & Record<string, SqlStorageValue>>(query, ...values).toArray();
  }
}
