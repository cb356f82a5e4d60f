/**
 * The last attempts, for the customer's eyes: written before the call leaves, completed by its end. Bounded; holds no
 * rules about what happens next.
 */
import type { AttemptOutcome, AttemptView, Page } from "./interface.ts";
import type { QueuedRow } from "./queue.ts";
import type { TextSeal } from "./text-seal.ts";

const KEPT_MAX = 1_000;
const PAGE_MAX = 50;

type StoredAttempt = Omit<AttemptView, "answer"> & { id: number; answer: ArrayBuffer | null };
type Row = StoredAttempt & Record<string, SqlStorageValue>;

export interface AttemptResult {
  outcome: AttemptOutcome;
  durationMs: number | null;
  status: number | null;
  /** Sealed by `sealAnswer`. */
  answer: ArrayBuffer | null;
  nextMs: number | null;
}

export class AttemptLog {
  readonly #sql: SqlStorage;
  readonly #seal: TextSeal;

  constructor(sql: SqlStorage, seal: TextSeal) {
    this.#sql = sql;
    this.#seal = seal;
  }

  async sealAnswer(id: number, answer: string): Promise<ArrayBuffer> {
    return this.#seal.seal(`answer ${id}`, answer);
  }

  /** Answers the id by which the attempt is completed. `row` is as it was before the attempt. */
  begin(row: QueuedRow, nowMs: number): number {
    const { id } = this.#sql
      .exec<{ id: number }>(
        `INSERT INTO attempts (event_n, event_id, type, attempt, started_ms, outcome)
         VALUES (?, ?, ?, ?, ?, 'running') RETURNING id`,
        row.n,
        row.id,
        row.type,
        row.attempts + 1,
        nowMs,
      )
      .one();
    this.#sql.exec("DELETE FROM attempts WHERE id <= ?", id - KEPT_MAX);
    return id;
  }

  end(id: number, result: AttemptResult): void {
    this.#sql.exec(
      `UPDATE attempts SET outcome = ?, duration_ms = ?, status = ?, answer = ?, next_ms = ?
       WHERE id = ?`,
      result.outcome,
      result.durationMs,
      result.status,
      result.answer,
      result.nextMs,
      id,
    );
  }

  /** It turned out that there is nothing to send. */
  withdraw(id: number): void {
    this.#sql.exec("DELETE FROM attempts WHERE id = ?", id);
  }

  /** The object was restarted in the middle of an attempt at this event. */
  interrupted(n: number, nextMs: number | null): void {
    this.#sql.exec(
      "UPDATE attempts SET outcome = 'interrupted', next_ms = ? WHERE event_n = ? AND outcome = 'running'",
      nextMs,
      n,
    );
  }

  /** Answers may quote what was sent. */
  forgetAnswersTo(n: number): void {
    this.#sql.exec("UPDATE attempts SET answer = NULL WHERE event_n = ?", n);
  }

  forgetBefore(beforeMs: number): void {
    this.#sql.exec("DELETE FROM attempts WHERE started_ms < ?", beforeMs);
  }

  hasAny(): boolean {
    return this.#sql.exec("SELECT 1 FROM attempts LIMIT 1").toArray().length > 0;
  }

  async page(cursor: number | null): Promise<Page<AttemptView>> {
    const rows = this.#sql
      .exec<Row>(
        `SELECT id, event_id AS eventId, type, attempt, started_ms AS startedMs,
           duration_ms AS durationMs, outcome, status, answer, next_ms AS nextMs
         FROM attempts WHERE id < ? ORDER BY id DESC LIMIT ?`,
        cursor ?? Number.MAX_SAFE_INTEGER,
        PAGE_MAX + 1,
      )
      .toArray();
    const shown = rows.slice(0, PAGE_MAX);
    return {
      items: await Promise.all(shown.map(async (row) => this.#view(row))),
      nextCursor: rows.length > PAGE_MAX ? (shown.at(-1)?.id ?? null) : null,
    };
  }

  async #view({ id, answer, ...row }: StoredAttempt): Promise<AttemptView> {
    const { eventId, type, attempt, startedMs, durationMs, outcome, status, nextMs } = row;
    const text = answer === null ? null : await this.#seal.openOrNull(`answer ${id}`, answer);
    return {
      eventId,
      type,
      attempt,
      startedMs,
      durationMs,
      outcome,
      status,
      answer: text,
      nextMs,
    };
  }
}
