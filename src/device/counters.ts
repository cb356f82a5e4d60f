/** Counts of what should be rare or never, kept across restarts. Holds names that are static, never data. */
export type CounterName =
  | "late_proof"
  | "late_error"
  | "second_error"
  | "unexpected"
  | "receipt_unmatched"
  | "ack_foreign"
  | "message_get_refused"
  | "keys_refused"
  | "frame_malformed"
  | "books_different"
  | "books_given_up"
  | "restricted"
  | "texts_not_kept"
  | "events_not_rendered"
  | "events_given_up";

export class Counters {
  readonly #sql: SqlStorage;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
  }

  add(name: CounterName): void {
    this.#sql.exec(
      `INSERT INTO counters (name, value) VALUES (?, 1)
       ON CONFLICT (name) DO UPDATE SET value = value + 1`,
      name,
    );
  }
}
