/**
 * The first waiting messages of each priority, in the order in which they leave: kept in step with the outbox, so that a
 * queue is not read again for every message of it that leaves. Memory only, bounded; what is not known for sure is read
 * anew. It refuses to decide whether a message may go.
 */
import type { MessageRow } from "./message-row.ts";
import { OPEN_WAITING } from "./message-row.ts";

/** Read in one go; a lane may grow to twice as many before it is cut. */
const AHEAD_MAX = 200;

type InFront = Pick<MessageRow, "id" | "recipient" | "nextMs">;

interface Lane {
  rows: InFront[];
  /** Nothing waits behind them. */
  isAll: boolean;
}

export class NextInLine {
  readonly #sql: SqlStorage;
  readonly #lanes = new Map<number, Lane>();

  constructor(sql: SqlStorage) {
    this.#sql = sql;
  }

  /** When the first of a priority is due, overdue or not; null when none waits. */
  firstMs(priority: number): number | null {
    return this.#lane(priority).rows[0]?.nextMs ?? null;
  }

  /** Those that are due, but for busy recipients; each recipient's first alone is worth naming, yet all are. */
  due(
    priority: number,
    nowMs: number,
    busyRecipients: ReadonlySet<string>,
    countMax: number,
  ): number[] {
    const found = this.#dueIn(this.#lane(priority), nowMs, busyRecipients, countMax);
    const lane = this.#lanes.get(priority);
    const mayHideMore = lane !== undefined && !lane.isAll && lane.rows.length <= AHEAD_MAX / 2;
    if (found.length >= countMax || !mayHideMore) return found;
    this.#lanes.delete(priority);
    return this.#dueIn(this.#lane(priority), nowMs, busyRecipients, countMax);
  }

  /** `before` null: it is new. */
  changed(before: MessageRow | null, row: MessageRow): void {
    const lane = this.#lanes.get(row.priority);
    if (lane === undefined) return;
    if (before?.open === OPEN_WAITING) {
      const place = lane.rows.findIndex(({ id }) => id === row.id);
      if (place >= 0) lane.rows.splice(place, 1);
    }
    if (row.open === OPEN_WAITING) this.#insert(lane, row);
    // With none left only the table knows what comes next.
    if (lane.rows.length === 0 && !lane.isAll) this.#lanes.delete(row.priority);
  }

  forget(): void {
    this.#lanes.clear();
  }

  #dueIn(
    { rows }: Lane,
    nowMs: number,
    busyRecipients: ReadonlySet<string>,
    countMax: number,
  ): number[] {
    const ids: number[] = [];
    for (const { id, recipient, nextMs } of rows) {
      if (nextMs > nowMs || ids.length >= countMax) break;
      if (!busyRecipients.has(recipient)) ids.push(id);
    }
    return ids;
  }

  #insert(lane: Lane, { id, recipient, nextMs }: InFront): void {
    const place = lane.rows.findIndex(
      (other) => other.nextMs > nextMs || (other.nextMs === nextMs && other.id > id),
    );
    if (place >= 0) lane.rows.splice(place, 0, { id, recipient, nextMs });
    else if (lane.isAll) lane.rows.push({ id, recipient, nextMs });
    if (lane.rows.length <= 2 * AHEAD_MAX) return;
    lane.rows.length = AHEAD_MAX;
    lane.isAll = false;
  }

  #lane(priority: number): Lane {
    const known = this.#lanes.get(priority);
    if (known !== undefined) return known;
    const rows = this.#sql
      .exec<InFront & Record<string, SqlStorageValue>>(
        `SELECT id, recipient, next_ms AS nextMs FROM outbox
         WHERE open = ${OPEN_WAITING} AND priority = ? ORDER BY next_ms, id LIMIT ${AHEAD_MAX}`,
        priority,
      )
      .toArray();
    const lane = { rows, isAll: rows.length < AHEAD_MAX };
    this.#lanes.set(priority, lane);
    return lane;
  }
}
