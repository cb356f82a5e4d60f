/**
 * The numbers this phone has a chat with: WhatsApp took a text to them, or they wrote, or the customer wrote to them on
 * the phone. All others are new chats, which WhatsApp may forbid for a while: then texts to them are put off here.
 * Belongs to the phone, so another phone starts without. Decides nothing about when (restriction.ts).
 */
import type { Identity } from "./identity.ts";
import { OPEN_WAITING, PRIORITIES } from "./message-row.ts";
import type { Outbox } from "./outbox.ts";

export class Chats {
  readonly #sql: SqlStorage;
  readonly #identity: Identity;
  readonly #outbox: Outbox;
  /** What came due up to then was looked at; null: nothing was. */
  #heldUpToMs: number | null = null;
  #hasReleased = false;

  constructor(sql: SqlStorage, identity: Identity, outbox: Outbox) {
    this.#sql = sql;
    this.#identity = identity;
    this.#outbox = outbox;
  }

  /** Messages came due again by something that hands none over itself. */
  get hasReleased(): boolean {
    return this.#hasReleased;
  }

  handingOver(): void {
    this.#hasReleased = false;
  }

  isKnown(number: string): boolean {
    return (
      this.#sql.exec("SELECT 1 FROM known_chats WHERE number = ?", number).toArray().length > 0
    );
  }

  /** This number has a chat from now on; what was put off for want of one goes. */
  learn(number: string): void {
    if (number === "") return;
    const added = this.#sql.exec(
      "INSERT INTO known_chats (number) VALUES (?) ON CONFLICT DO NOTHING RETURNING number",
      number,
    );
    const isNew = added.toArray().length === 1;
    if (isNew && this.#identity.state.restrictedUntilMs !== null) this.release(number);
  }

  /** Puts off what is due and would start a chat. */
  hold(endMs: number, nowMs: number): void {
    const fromMs = this.#heldUpToMs ?? -1;
    this.#heldUpToMs = nowMs;
    const { rowsWritten } = this.#sql.exec(
      `UPDATE outbox SET next_ms = ?, reason = 'account_restricted'
       WHERE open = ${OPEN_WAITING} AND priority IN (${Object.values(PRIORITIES).join(", ")})
         AND next_ms > ? AND next_ms <= ? AND id > 0
         AND recipient NOT IN (SELECT number FROM known_chats)`,
      endMs,
      fromMs,
      nowMs,
    );
    if (rowsWritten > 0) this.#outbox.forget();
  }

  /** What was put off is due as it was before: for one number, or for all. */
  release(number: string | null): void {
    this.#heldUpToMs = null;
    this.#hasReleased = true;
    this.#sql.exec(
      `UPDATE outbox SET next_ms = due_ms, reason = NULL
       WHERE open = ${OPEN_WAITING} AND reason = 'account_restricted' AND (?1 IS NULL OR recipient = ?1)`,
      number,
    );
    this.#outbox.forget();
  }

  clear(): void {
    this.#sql.exec("DELETE FROM known_chats");
  }
}
