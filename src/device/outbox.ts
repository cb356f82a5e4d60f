/**
 * The outbox table: every message of this phone from acceptance to the end of retention. Holds the SQL and
 * nothing else; refuses to decide what a message becomes (evidence.ts) or when it goes (handover.ts).
 */
import type { Changes } from "./evidence.ts";
import type { MessagePatch, MessageRow } from "./message-row.ts";
import { OPEN_UNSETTLED, OPEN_WAITING, patchFor, PRIORITIES } from "./message-row.ts";

const COLUMNS: Record<keyof MessageRow, string> = {
  id: "id",
  nonce: "nonce",
  recipient: "recipient",
  body: "body",
  category: "category",
  priority: "priority",
  priceRupiah: "price_rupiah",
  periodId: "period_id",
  acceptedMs: "accepted_ms",
  dueMs: "due_ms",
  expiresMs: "expires_ms",
  generation: "generation",
  state: "state",
  reason: "reason",
  open: "open",
  nextMs: "next_ms",
  waId: "wa_id",
  attempts: "attempts",
  committedAttempt: "committed_attempt",
  attemptsClosed: "attempts_closed",
  takeBacks: "take_backs",
  gets: "gets",
  firstHandoverMs: "first_handover_ms",
  lastHandoverMs: "last_handover_ms",
  epoch: "epoch",
  commandSeq: "command_seq",
  commitEpoch1: "commit_epoch_1",
  commitEpoch2: "commit_epoch_2",
  takeBackN: "take_back_n",
  money: "money",
  moneyDirty: "money_dirty",
  statusDirty: "status_dirty",
  rev: "rev",
  deliveredMs: "delivered_ms",
  endedMs: "ended_ms",
  history: "history",
};

const NAMES = Object.keys(COLUMNS) as (keyof MessageRow)[];
const SELECT = `SELECT ${NAMES.map((name) => `${COLUMNS[name]} AS ${name}`).join(", ")} FROM outbox`;
const INSERT = `INSERT INTO outbox (${NAMES.map((name) => COLUMNS[name]).join(", ")})
  VALUES (${NAMES.map(() => "?").join(", ")})`;

type StoredRow = MessageRow & Record<string, SqlStorageValue>;

export class Outbox {
  readonly #sql: SqlStorage;
  /** Nothing waiting expires before this; null when it must be looked up. */
  #nothingExpiresBeforeMs: number | null = null;
  /** The undecided messages, kept in step with the table; null when they must be looked up. */
  #undecided: Map<number, MessageRow> | null = null;
  /** When the next waiting message is due (infinite: none waits); null when it must be looked up. */
  #nextDueMs: number | null = null;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
  }

  get(id: number): MessageRow | null {
    return this.#undecided?.get(id) ?? this.#all(`${SELECT} WHERE id = ?`, id)[0] ?? null;
  }

  /** 72 random bits make a second row unlikely, not impossible; the recipient tells them apart. */
  byWaId(waId: string): MessageRow[] {
    const undecided = this.undecided().filter((row) => row.waId === waId);
    if (undecided.length > 0) return undecided;
    return this.#all(`${SELECT} WHERE wa_id = ?`, waId);
  }

  insert(row: MessageRow): void {
    this.#sql.exec(INSERT, ...NAMES.map((name) => row[name]));
    this.#remember(row, null);
  }

  /** After a rollback: what is remembered may be ahead of the table. */
  forget(): void {
    this.#nothingExpiresBeforeMs = null;
    this.#undecided = null;
    this.#nextDueMs = null;
  }

  /** Writes only the columns named, because an index costs a row when its column is written. */
  patch(row: MessageRow, patch: MessagePatch): MessageRow {
    const names = Object.keys(patch) as (keyof MessagePatch)[];
    if (names.length === 0) return row;
    const next = { ...row, ...patch };
    this.#sql.exec(
      `UPDATE outbox SET ${names.map((name) => `${COLUMNS[name]} = ?`).join(", ")} WHERE id = ?`,
      ...names.map((name) => next[name]),
      row.id,
    );
    this.#remember(next, row);
    return next;
  }

  change(row: MessageRow, changes: Changes, beside: MessagePatch, nowMs: number): MessageRow {
    return this.patch(row, patchFor(row, changes, beside, nowMs));
  }

  /** Waiting and due, oldest first within its priority, from behind `after` on. */
  dueNow(
    priority: number,
    nowMs: number,
    after: { nextMs: number; id: number } | null,
    countMax: number,
  ): MessageRow[] {
    return this.#all(
      `${SELECT} WHERE open = ${OPEN_WAITING} AND priority = ? AND next_ms <= ?
         AND (next_ms, id) > (?, ?)
       ORDER BY next_ms, id LIMIT ?`,
      priority,
      nowMs,
      after?.nextMs ?? 0,
      after?.id ?? Number.MIN_SAFE_INTEGER,
      countMax,
    );
  }

  /** When the next waiting message comes due, overdue ones included. */
  nextDueMs(): number | null {
    this.#nextDueMs ??= Math.min(
      ...Object.values(PRIORITIES).map((priority) => {
        const { at } = this.#sql
          .exec<{ at: number | null }>(
            `SELECT min(next_ms) AS at FROM outbox WHERE open = ${OPEN_WAITING} AND priority = ?`,
            priority,
          )
          .one();
        return at ?? Number.POSITIVE_INFINITY;
      }),
    );
    return Number.isFinite(this.#nextDueMs) ? this.#nextDueMs : null;
  }

  /** In a host's hands or on the wire without proof. */
  undecided(): MessageRow[] {
    this.#undecided ??= new Map(
      this.#all(
        `${SELECT} WHERE open = ${OPEN_UNSETTLED} AND state IN ('handing', 'maybe_sent')`,
      ).map((row) => [row.id, row]),
    );
    return [...this.#undecided.values()];
  }

  /** Ended, and the books do not know it yet. */
  dirty(countMax: number): MessageRow[] {
    return this.#all(
      `${SELECT} WHERE open = ${OPEN_UNSETTLED} AND (money_dirty = 1 OR status_dirty = 1) LIMIT ?`,
      countMax,
    );
  }

  dirtyCount(): number {
    return this.#sql
      .exec<{ n: number }>(
        `SELECT count(*) AS n FROM outbox
         WHERE open = ${OPEN_UNSETTLED} AND (money_dirty = 1 OR status_dirty = 1)`,
      )
      .one().n;
  }

  /** Waiting messages in no order, a page at a time by id. */
  waitingAfter(id: number, countMax: number): MessageRow[] {
    return this.#all(
      `${SELECT} WHERE open = ${OPEN_WAITING} AND id > ? ORDER BY id LIMIT ?`,
      id,
      countMax,
    );
  }

  nextExpiryMs(): number | null {
    if (this.#nothingExpiresBeforeMs === null) {
      const { at } = this.#sql
        .exec<{ at: number | null }>(
          `SELECT min(expires_ms) AS at FROM outbox WHERE open = ${OPEN_WAITING}`,
        )
        .one();
      this.#nothingExpiresBeforeMs = at ?? Number.POSITIVE_INFINITY;
    }
    return Number.isFinite(this.#nothingExpiresBeforeMs) ? this.#nothingExpiresBeforeMs : null;
  }

  expired(nowMs: number, countMax: number): MessageRow[] {
    const earliest = this.nextExpiryMs();
    if (earliest === null || earliest > nowMs) return [];
    this.#nothingExpiresBeforeMs = null;
    return this.#all(
      `${SELECT} WHERE open = ${OPEN_WAITING} AND expires_ms <= ? LIMIT ?`,
      nowMs,
      countMax,
    );
  }

  /** Waiting messages go on under another pairing of the same phone. */
  moveWaitingTo(generation: number): void {
    this.#sql.exec(
      `UPDATE outbox SET generation = ? WHERE open = ${OPEN_WAITING} AND generation <> ?`,
      generation,
      generation,
    );
  }

  #remember(row: MessageRow, before: MessageRow | null): void {
    this.#mayExpireAt(row);
    if (row.state === "handing" || row.state === "maybe_sent") this.#undecided?.set(row.id, row);
    else this.#undecided?.delete(row.id);
    if (before?.open === OPEN_WAITING) this.#nextDueMs = null;
    else if (row.open === OPEN_WAITING && this.#nextDueMs !== null) {
      this.#nextDueMs = Math.min(this.#nextDueMs, row.nextMs);
    }
  }

  #mayExpireAt(row: MessageRow): void {
    if (row.open !== OPEN_WAITING || this.#nothingExpiresBeforeMs === null) return;
    this.#nothingExpiresBeforeMs = Math.min(this.#nothingExpiresBeforeMs, row.expiresMs);
  }

  #all(query: string, ...values: SqlStorageValue[]): MessageRow[] {
    return this.#sql.exec<StoredRow>(query, ...values).toArray();
  }
}
