/**
 * What is forgotten, and when: bodies 24 h after delivery (or 14 days after they were sent, or 24 h after another
 * end), texts that came in after the account's time, rows after 35 days, events after 7 once they were told; archived
 * keys are archives.ts's to drop. Runs a few times a day. Never touches a message that is not final or that the books still wait for.
 */
import { logAlert } from "../domain/log.ts";
import type { Archives } from "./archives.ts";
import type { Counters } from "./counters.ts";
import { EVENTS_KEPT_MS, type Events } from "./events.ts";
import type { Feeds } from "./feeds.ts";
import type { Identity } from "./identity.ts";

/** Verdicts and inbound texts are kept this long after the end. */
export const KEPT_MS = 35 * 24 * 3_600_000;
const BODY_AFTER_END_MS = 24 * 3_600_000;
const BODY_AFTER_SENT_MS = 14 * 24 * 3_600_000;
const INTERVAL_MS = 6 * 3_600_000;
const NEXT_PORTION_MS = 5_000;
const PORTION_MAX = 500;
/** Part of the ten gigabytes that an object may hold. */
const ALARM_BYTES = 6_000_000_000;
/** So many events wait for an endpoint at most: as many as it takes itself. */
const EVENTS_WAITING_MAX = 100_000;
/** A deleted device looks often for so long whether all was told. */
const IMPATIENT_MS = 3_600_000;

export class Retention {
  readonly #sql: SqlStorage;
  readonly #identity: Identity;
  readonly #archives: Archives;
  readonly #events: Events;
  readonly #feeds: Feeds;
  readonly #counters: Counters;

  constructor(
    sql: SqlStorage,
    identity: Identity,
    archives: Archives,
    events: Events,
    feeds: Feeds,
    counters: Counters,
  ) {
    this.#sql = sql;
    this.#identity = identity;
    this.#archives = archives;
    this.#events = events;
    this.#feeds = feeds;
    this.#counters = counters;
  }

  /** Something was stored that must be forgotten one day. */
  expectWork(nowMs: number): void {
    if (this.#identity.state.retentionMs === null) {
      this.#identity.patch({ retentionMs: nowMs + INTERVAL_MS });
    }
  }

  nextMs(): number | null {
    return this.#identity.state.retentionMs;
  }

  run(nowMs: number): void {
    const dueMs = this.#identity.state.retentionMs;
    if (dueMs === null || dueMs > nowMs) return;
    const portions = [
      this.#clearBodies(nowMs),
      this.#clearTexts(nowMs - this.#textsKeptMs),
      this.#deleteRows(nowMs - KEPT_MS),
      this.#deleteTexts(nowMs - Math.max(KEPT_MS, this.#textsKeptMs)),
      this.#deleteEvents(nowMs),
    ];
    this.#watchSize();
    const keepsArchive = this.#archives.look(nowMs);
    const isPortionFull = Math.max(...portions) >= PORTION_MAX;
    const keepsRows =
      keepsArchive ||
      this.#exists("SELECT 1 FROM outbox LIMIT 1") ||
      this.#exists("SELECT 1 FROM inbound WHERE sender <> '' LIMIT 1") ||
      this.#exists("SELECT 1 FROM events LIMIT 1 OFFSET 1");
    const { closedMs } = this.#identity.state;
    const isJustClosed = closedMs !== null && nowMs - closedMs < IMPATIENT_MS;
    const isSoon = isPortionFull || (isJustClosed && !this.#isTold);
    this.#identity.patch({
      retentionMs: isSoon ? nowMs + NEXT_PORTION_MS : keepsRows ? nowMs + INTERVAL_MS : null,
    });
  }

  get #isClosed(): boolean {
    return this.#identity.state.closedMs !== null;
  }

  /** Every endpoint has heard of everything. */
  get #isTold(): boolean {
    return this.#feeds.ackedByAll() >= this.#events.lastN;
  }

  /** A deleted device keeps no text longer than its endpoints need to hear of it. */
  get #textsKeptMs(): number {
    return this.#isClosed && this.#isTold ? 0 : this.#identity.state.textsKeptMs;
  }

  #clearBodies(nowMs: number): number {
    const { closedMs, textsKeptMs } = this.#identity.state;
    // Nobody can ask a deleted device for a text again.
    const afterEndMs = closedMs === null ? Math.min(BODY_AFTER_END_MS, textsKeptMs) : 0;
    const afterSentMs = closedMs === null ? Math.min(BODY_AFTER_SENT_MS, textsKeptMs) : 0;
    return this.#sql.exec(
      `UPDATE outbox SET body = NULL WHERE id IN (
         SELECT id FROM outbox
         WHERE body IS NOT NULL AND (
           (state IN ('received', 'read') AND delivered_ms <= ?1)
           OR (state IN ('cancel', 'reject') AND ended_ms <= ?1)
           OR (state = 'sent' AND ended_ms <= ?2))
         LIMIT ${PORTION_MAX})`,
      nowMs - afterEndMs,
      nowMs - afterSentMs,
    ).rowsWritten;
  }

  /** The row stays: a text that comes again is known by it. */
  #clearTexts(beforeMs: number): number {
    return this.#sql.exec(
      `UPDATE inbound SET body = NULL, push_name = NULL WHERE n IN (
         SELECT n FROM inbound WHERE received_ms <= ?
           AND (body IS NOT NULL OR push_name IS NOT NULL) LIMIT ${PORTION_MAX})`,
      beforeMs,
    ).rowsWritten;
  }

  #deleteRows(beforeMs: number): number {
    return this.#sql.exec(
      `DELETE FROM outbox WHERE id IN (
         SELECT id FROM outbox WHERE open IS NULL AND ended_ms <= ? LIMIT ${PORTION_MAX})`,
      beforeMs,
    ).rowsWritten;
  }

  /** Of the newest only the number stays, so that it is not given out again. */
  #deleteTexts(beforeMs: number): number {
    const newest = "(SELECT max(n) FROM inbound)";
    this.#sql.exec(
      `UPDATE inbound SET sender = '', wa_id = '', chat = '', lid = NULL, push_name = NULL, body = NULL
       WHERE n = ${newest} AND received_ms <= ? AND sender <> ''`,
      beforeMs,
    );
    return this.#sql.exec(
      `DELETE FROM inbound WHERE n IN (
         SELECT n FROM inbound WHERE received_ms <= ? AND n < ${newest} LIMIT ${PORTION_MAX})`,
      beforeMs,
    ).rowsWritten;
  }

  #deleteEvents(nowMs: number): number {
    const { keepsEvents } = this.#identity.state;
    this.#boundWaiting(nowMs - EVENTS_KEPT_MS);
    this.#feeds.write();
    return this.#sql.exec(
      `DELETE FROM events WHERE n IN (
         SELECT n FROM events WHERE n <= ?1 AND n < ?2 AND at_ms <= ?3 LIMIT ${PORTION_MAX})`,
      this.#feeds.ackedByAll(),
      this.#events.lastN,
      keepsEvents === 1 ? nowMs - EVENTS_KEPT_MS : nowMs,
    ).rowsWritten;
  }

  /** Events wait until their endpoint's object has them, however long it is silent; a person must know. */
  #boundWaiting(oldBeforeMs: number): void {
    const { deviceId: device } = this.#identity.state;
    const waitsLong = this.#exists(
      "SELECT 1 FROM events WHERE n > ? AND at_ms <= ? LIMIT 1",
      this.#feeds.ackedByAll(),
      oldBeforeMs,
    );
    if (waitsLong) logAlert("events wait for a silent endpoint", { device });
    const upToN = this.#events.lastN - EVENTS_WAITING_MAX;
    if (upToN <= this.#feeds.ackedByAll()) return;
    this.#counters.add("events_given_up");
    logAlert("events given up", { device });
    this.#feeds.giveUpTo(upToN);
  }

  /** Strangers may write as much as WhatsApp lets them; what they wrote goes with time only. */
  #watchSize(): void {
    const bytes = this.#sql.databaseSize;
    if (bytes < ALARM_BYTES) return;
    const device = this.#identity.state.deviceId;
    logAlert("a device's storage grows large", {
      device,
      megabytes: Math.floor(bytes / 1_000_000),
    });
  }

  #exists(query: string, ...values: SqlStorageValue[]): boolean {
    return this.#sql.exec(query, ...values).toArray().length > 0;
  }
}
