/**
 * The outbox table: every message of this phone from acceptance to the end of retention. Holds the SQL and
 * the seal of texts; refuses to decide what a message becomes (evidence.ts) or when it goes (handover.ts).
 */
import { logAlert } from "../domain/log.ts";
import type { Changes } from "./evidence.ts";
import type { InLine } from "./forecast.ts";
import type { LineLoad } from "./line-load.ts";
import type { MessagePatch, MessageRow } from "./message-row.ts";
import { OPEN_UNSETTLED, OPEN_WAITING, patchFor, PRIORITIES } from "./message-row.ts";
import { NextInLine } from "./next-in-line.ts";
import { SEAL_BYTES, type TextSeal } from "./text-seal.ts";

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

/** The same without the text, for whoever does not need it opened. */
const SELECT_BARE = SELECT.replace("body AS body", "NULL AS body");

/** Text: as it was stored before texts were sealed. */
type StoredRow = Omit<MessageRow, "body"> & { body: ArrayBuffer | string | null } & Record<
    string,
    SqlStorageValue
  >;

export class Outbox {
  readonly #sql: SqlStorage;
  readonly #seal: TextSeal;
  /** Nothing waiting expires before this; null when it must be looked up. */
  #nothingExpiresBeforeMs: number | null = null;
  /** The undecided messages, kept in step with the table; null when they must be looked up. */
  #undecided: Map<number, MessageRow> | null = null;
  /** Messages that wait for their hand-over; null when they must be counted. */
  #waitingCount: number | null = null;
  /** The oldest waiting message accepted after a time (infinite: none); null when it must be looked up. */
  #oldest: { afterMs: number; acceptedMs: number } | null = null;
  /** The highest id; null when it must be looked up. */
  #newestId: number | null = null;
  readonly #next: NextInLine;
  #load: LineLoad | null = null;

  constructor(sql: SqlStorage, seal: TextSeal) {
    this.#sql = sql;
    this.#seal = seal;
    this.#next = new NextInLine(sql);
  }

  /** Who keeps sums of what waits hears of each change. */
  tellLoad(load: LineLoad): void {
    this.#load = load;
  }

  get(id: number): MessageRow | null {
    const undecided = this.#undecided?.get(id);
    if (undecided !== undefined) return undecided;
    // Ids rise with time: a new message's is beyond all others, and nothing need be read.
    return id > this.#newest() ? null : (this.#all(`${SELECT} WHERE id = ?`, id)[0] ?? null);
  }

  /** The text alone; null once it is forgotten. */
  text(id: number): string | null {
    return this.get(id)?.body ?? null;
  }

  /** Without texts. 72 random bits make a second row unlikely, not impossible; the recipient tells them apart. */
  byWaId(waId: string): MessageRow[] {
    const undecided = this.undecided().filter((row) => row.waId === waId);
    if (undecided.length > 0) return undecided;
    return this.#all(`${SELECT_BARE} WHERE wa_id = ?`, waId);
  }

  insert(row: MessageRow): void {
    this.#sql.exec(INSERT, ...NAMES.map((name) => this.#stored(row, name)));
    this.#remember(row, null);
  }

  /** For a row that keeps a place and nothing else. */
  remove({ id }: MessageRow): void {
    this.#sql.exec("DELETE FROM outbox WHERE id = ? AND recipient = ''", id);
  }

  /** After a rollback: what is remembered may be ahead of the table. */
  forget(): void {
    this.#nothingExpiresBeforeMs = null;
    this.#undecided = null;
    this.#waitingCount = null;
    this.#newestId = null;
    this.#next.forget();
    this.#oldest = null;
    this.#load?.forget();
  }

  /** Writes only the columns named, because an index costs a row when its column is written. */
  patch(row: MessageRow, patch: MessagePatch): MessageRow {
    const names = Object.keys(patch) as (keyof MessagePatch)[];
    if (names.length === 0) return row;
    const next = { ...row, ...patch };
    this.#sql.exec(
      `UPDATE outbox SET ${names.map((name) => `${COLUMNS[name]} = ?`).join(", ")} WHERE id = ?`,
      ...names.map((name) => this.#stored(next, name)),
      row.id,
    );
    this.#remember(next, row);
    return next;
  }

  change(row: MessageRow, changes: Changes, beside: MessagePatch, nowMs: number): MessageRow {
    return this.patch(row, patchFor(row, changes, beside, nowMs));
  }

  /**
   * Waiting and due, oldest first within its priority, but for those to recipients that are busy. Looks at a bounded
   * number: one recipient's long queue must not be read through for every message of it that leaves.
   */
  dueNow(
    priority: number,
    nowMs: number,
    busyRecipients: ReadonlySet<string>,
    countMax: number,
  ): MessageRow[] {
    const ids = this.#next.due(priority, nowMs, busyRecipients, countMax);
    return ids.flatMap((id) => this.get(id) ?? []);
  }

  waitingCount(): number {
    this.#waitingCount ??= this.#sql
      .exec<{ n: number }>(`SELECT count(*) AS n FROM outbox WHERE open = ${OPEN_WAITING}`)
      .one().n;
    return this.#waitingCount;
  }

  /** Waiting messages that may leave by `dueMs` and go before a later one of this priority, in that order. */
  before(priority: number, dueMs: number): Iterable<InLine> {
    return this.#sql.exec<InLine & Record<string, SqlStorageValue>>(
      `SELECT priority, next_ms AS nextMs, recipient,
         max(coalesce(length(body), 0) - ${SEAL_BYTES}, 0) AS textLength
       FROM outbox WHERE open = ${OPEN_WAITING} AND priority <= ? AND next_ms <= ?
       ORDER BY next_ms, id`,
      priority,
      dueMs,
    );
  }

  /** When the next waiting message comes due, overdue ones included. */
  nextDueMs(): number | null {
    const times = Object.values(PRIORITIES).map((priority) => this.#next.firstMs(priority));
    const known = times.filter((atMs) => atMs !== null);
    return known.length === 0 ? null : Math.min(...known);
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
      `${SELECT_BARE} WHERE open = ${OPEN_UNSETTLED} AND (money_dirty = 1 OR status_dirty = 1) LIMIT ?`,
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

  /** Messages that the books know or must know, a page at a time by id; Kabar's own texts have negative ids. */
  bookedAfter(id: number, countMax: number): MessageRow[] {
    return this.#all(
      `${SELECT_BARE} WHERE id > ? AND nonce IS NOT NULL ORDER BY id LIMIT ?`,
      Math.max(0, id),
      countMax,
    );
  }

  bookedCountAfter(id: number): number {
    return this.#sql
      .exec<{ n: number }>(
        "SELECT count(*) AS n FROM outbox WHERE id > ? AND nonce IS NOT NULL",
        Math.max(0, id),
      )
      .one().n;
  }

  /** When the oldest waiting message was accepted, of those after a time; may name one that left since. */
  oldestAcceptedAfter(afterMs: number): number | null {
    if (this.#oldest?.afterMs !== afterMs) {
      const { at } = this.#sql
        .exec<{ at: number | null }>(
          `SELECT min(accepted_ms) AS at FROM outbox
           WHERE open = ${OPEN_WAITING} AND accepted_ms > ?`,
          afterMs,
        )
        .one();
      this.#oldest = { afterMs, acceptedMs: at ?? Number.POSITIVE_INFINITY };
    }
    return Number.isFinite(this.#oldest.acceptedMs) ? this.#oldest.acceptedMs : null;
  }

  /** Waiting messages accepted after one time and up to another, the oldest first, so many at most. */
  acceptedBetween(afterMs: number, upToMs: number, countMax: number): MessageRow[] {
    return this.#all(
      `${SELECT_BARE} WHERE open = ${OPEN_WAITING} AND accepted_ms > ? AND accepted_ms <= ?
       ORDER BY accepted_ms, id LIMIT ?`,
      afterMs,
      upToMs,
      countMax,
    );
  }

  /** Waiting messages in no order, a page at a time by id. */
  waitingAfter(id: number, countMax: number): MessageRow[] {
    return this.#all(
      `${SELECT_BARE} WHERE open = ${OPEN_WAITING} AND id > ? ORDER BY id LIMIT ?`,
      id,
      countMax,
    );
  }

  /** Waiting messages as they will leave: those that are due by priority, then the later ones. */
  inOrder(nowMs: number, countMax: number): MessageRow[] {
    return this.#all(
      `${SELECT} WHERE open = ${OPEN_WAITING}
       ORDER BY next_ms > ?1, CASE WHEN next_ms > ?1 THEN 0 ELSE priority END, next_ms, id LIMIT ?2`,
      nowMs,
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
      `${SELECT_BARE} WHERE open = ${OPEN_WAITING} AND expires_ms <= ? LIMIT ?`,
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

  #newest(): number {
    this.#newestId ??=
      this.#sql.exec<{ id: number | null }>("SELECT max(id) AS id FROM outbox").one().id ?? 0;
    return this.#newestId;
  }

  #remember(row: MessageRow, before: MessageRow | null): void {
    if (this.#newestId !== null) this.#newestId = Math.max(this.#newestId, row.id);
    this.#mayExpireAt(row);
    if (before?.open === OPEN_WAITING) this.#load?.removed(before);
    if (row.open === OPEN_WAITING) this.#load?.added({ ...row, textLength: row.body?.length ?? 0 });
    if (this.#waitingCount !== null) {
      const was = before?.open === OPEN_WAITING;
      this.#waitingCount += Number(row.open === OPEN_WAITING) - Number(was);
    }
    if (row.state === "handing" || row.state === "maybe_sent") this.#undecided?.set(row.id, row);
    else this.#undecided?.delete(row.id);
    if (
      row.open === OPEN_WAITING &&
      this.#oldest !== null &&
      row.acceptedMs > this.#oldest.afterMs
    ) {
      this.#oldest.acceptedMs = Math.min(this.#oldest.acceptedMs, row.acceptedMs);
    }
    this.#next.changed(before, row);
  }

  #mayExpireAt(row: MessageRow): void {
    if (row.open !== OPEN_WAITING || this.#nothingExpiresBeforeMs === null) return;
    this.#nothingExpiresBeforeMs = Math.min(this.#nothingExpiresBeforeMs, row.expiresMs);
  }

  #stored(row: MessageRow, name: keyof MessageRow): SqlStorageValue {
    return name === "body" && row.body !== null
      ? this.#seal.seal(`outbox ${row.id}`, row.body)
      : row[name];
  }

  #all(query: string, ...values: SqlStorageValue[]): MessageRow[] {
    const rows = this.#sql.exec<StoredRow>(query, ...values).toArray();
    return rows.map((row) => ({ ...row, body: this.#opened(row) }));
  }

  /** A text that does not open cannot be sent: the message waits, and ends when its life is over. */
  #opened({ id, body }: StoredRow): string | null {
    if (body === null || typeof body === "string") return body;
    const text = this.#seal.openOrNull(`outbox ${id}`, body);
    if (text === null) logAlert("a sealed text does not open", { message_id: id });
    return text;
  }
}
