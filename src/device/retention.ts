/**
 * What is forgotten, and when: bodies 24 h after delivery (or 14 days after they were sent, or 24 h after another
 * end), rows and inbound texts after 35 days, archived keys after 7. Runs a few times a day. Never touches a
 * message that is not final or that the books still wait for.
 */
import type { Identity } from "./identity.ts";
import type { SessionStore } from "./session-store.ts";

/** Verdicts and inbound texts are kept this long after the end. */
export const KEPT_MS = 35 * 24 * 3_600_000;
const BODY_AFTER_END_MS = 24 * 3_600_000;
const BODY_AFTER_SENT_MS = 14 * 24 * 3_600_000;
const INTERVAL_MS = 6 * 3_600_000;
const NEXT_PORTION_MS = 5_000;
const PORTION_MAX = 500;

export class Retention {
  readonly #sql: SqlStorage;
  readonly #identity: Identity;
  readonly #sessions: SessionStore;

  constructor(sql: SqlStorage, identity: Identity, sessions: SessionStore) {
    this.#sql = sql;
    this.#identity = identity;
    this.#sessions = sessions;
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
    const forgotten = this.#clearBodies(nowMs) + this.#deleteRows(nowMs);
    const keepsArchive = this.#sessions.dropOldArchives(nowMs);
    const portionFull = forgotten >= PORTION_MAX;
    const keepsRows =
      keepsArchive ||
      this.#exists("SELECT 1 FROM outbox LIMIT 1") ||
      this.#exists("SELECT 1 FROM inbound LIMIT 1");
    this.#identity.patch({
      retentionMs: portionFull ? nowMs + NEXT_PORTION_MS : keepsRows ? nowMs + INTERVAL_MS : null,
    });
  }

  #clearBodies(nowMs: number): number {
    return this.#sql.exec(
      `UPDATE outbox SET body = NULL WHERE id IN (
         SELECT id FROM outbox
         WHERE body IS NOT NULL AND (
           (state IN ('received', 'read') AND delivered_ms <= ?1)
           OR (state IN ('cancel', 'reject') AND ended_ms <= ?1)
           OR (state = 'sent' AND ended_ms <= ?2))
         LIMIT ${PORTION_MAX})`,
      nowMs - BODY_AFTER_END_MS,
      nowMs - BODY_AFTER_SENT_MS,
    ).rowsWritten;
  }

  #deleteRows(nowMs: number): number {
    const beforeMs = nowMs - KEPT_MS;
    const messages = this.#sql.exec(
      `DELETE FROM outbox WHERE id IN (
         SELECT id FROM outbox WHERE open IS NULL AND ended_ms <= ? LIMIT ${PORTION_MAX})`,
      beforeMs,
    ).rowsWritten;
    const texts = this.#sql.exec(
      `DELETE FROM inbound WHERE (sender, wa_id) IN (
         SELECT sender, wa_id FROM inbound WHERE received_ms <= ? LIMIT ${PORTION_MAX})`,
      beforeMs,
    ).rowsWritten;
    return messages + texts;
  }

  #exists(query: string): boolean {
    return this.#sql.exec(query).toArray().length > 0;
  }
}
