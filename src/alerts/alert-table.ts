/**
 * Alerts as they are stored: one row a name and subject, so that a storm of one kind is one row with a count. Bounded
 * in subjects a name and in rows. Holds the SQL; when something is told is decided in schedule.ts.
 */
import type { LogFields } from "../domain/log.ts";
import type { AlertView, ChannelName, RaisedAlert } from "./interface.ts";
import { isNewsAgain, KEPT_ACKNOWLEDGED_MS, KEPT_OPEN_MS, repeatMs } from "./schedule.ts";

/** Things that alerts of one name are kept apart for; those of any further ones are counted together. */
export const SUBJECTS_MAX = 20;
export const OTHER_SUBJECTS = "others";
const ROWS_MAX = 1_000;
const NAME_LENGTH_MAX = 100;
const SUBJECT_LENGTH_MAX = 200;
const FIELDS_LENGTH_MAX = 2_000;
export const LISTED_MAX = 200;

const COLUMNS = `a.id, a.name, a.subject, a.fields, a.count, a.first_ms AS firstMs, a.last_ms AS lastMs,
  a.acknowledged_ms AS acknowledgedMs`;

/** An open alert that a channel must be told of by a time; one never told is due at once. */
const DUE = `FROM alerts a LEFT JOIN tellings t ON t.alert_id = a.id AND t.channel = ?1
  WHERE a.acknowledged_ms IS NULL`;

type StoredAlert = Omit<AlertView, "fields"> & { fields: string } & Record<string, SqlStorageValue>;

export class AlertTable {
  readonly #sql: SqlStorage;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
  }

  raise(alert: RaisedAlert, nowMs: number): void {
    const name = alert.name.slice(0, NAME_LENGTH_MAX);
    const subject = this.#subjectOf(name, alert.subject.slice(0, SUBJECT_LENGTH_MAX));
    if (subject === null) return;
    const fields = fieldsText(alert.fields);
    const known = this.#find(name, subject);
    if (known === null) {
      this.#sql.exec(
        `INSERT INTO alerts (name, subject, fields, count, first_ms, last_ms) VALUES (?, ?, ?, ?, ?, ?)`,
        name,
        subject,
        fields,
        alert.count,
        nowMs,
        nowMs,
      );
      return;
    }
    const { id, acknowledgedMs, lastMs } = known;
    const opensAgain = acknowledgedMs !== null && isNewsAgain({ acknowledgedMs, lastMs }, nowMs);
    this.#sql.exec(
      `UPDATE alerts SET fields = ?2, count = iif(?4, 0, count) + ?3, last_ms = ?5,
         first_ms = iif(?4, ?5, first_ms), acknowledged_ms = iif(?4, NULL, acknowledged_ms)
       WHERE id = ?1`,
      id,
      fields,
      alert.count,
      Number(opensAgain),
      nowMs,
    );
    if (opensAgain) this.#sql.exec("DELETE FROM tellings WHERE alert_id = ?", id);
  }

  list(which: "open" | "all"): { alerts: AlertView[]; more: number } {
    const where = which === "open" ? "WHERE a.acknowledged_ms IS NULL" : "";
    const rows = this.#sql
      .exec<StoredAlert>(
        `SELECT ${COLUMNS} FROM alerts a ${where} ORDER BY a.last_ms DESC, a.id DESC LIMIT ?`,
        LISTED_MAX,
      )
      .toArray();
    const { n } = this.#sql
      .exec<{ n: number }>(`SELECT count(*) AS n FROM alerts a ${where}`)
      .one();
    return { alerts: rows.map(viewOf), more: n - rows.length };
  }

  /** Null: all that are open. Answers how many were. */
  acknowledge(ids: readonly number[] | null, nowMs: number): number {
    const named = ids === null ? "" : "AND id IN (SELECT value FROM json_each(?2))";
    const bound = ids === null ? [nowMs] : [nowMs, JSON.stringify(ids)];
    return this.#sql
      .exec(
        `UPDATE alerts SET acknowledged_ms = ?1 WHERE acknowledged_ms IS NULL ${named} RETURNING id`,
        ...bound,
      )
      .toArray().length;
  }

  /** When this channel must be told of something next; null when all is told or acknowledged. */
  nextDueMs(channel: ChannelName): number | null {
    return this.#sql
      .exec<{ at: number | null }>(
        `SELECT min(coalesce(t.next_ms, a.first_ms)) AS at ${DUE}`,
        channel,
      )
      .one().at;
  }

  /** Open alerts that are due for a channel, those that were never told first. */
  due(channel: ChannelName, nowMs: number): AlertView[] {
    return this.#sql
      .exec<StoredAlert>(
        `SELECT ${COLUMNS} ${DUE} AND coalesce(t.next_ms, 0) <= ?2
         ORDER BY t.times IS NOT NULL, a.last_ms DESC, a.id DESC`,
        channel,
        nowMs,
      )
      .toArray()
      .map(viewOf);
  }

  told(channel: ChannelName, ids: readonly number[], nowMs: number): void {
    for (const id of ids) {
      const [row] = this.#sql
        .exec<{ times: number }>(
          "SELECT times FROM tellings WHERE alert_id = ? AND channel = ?",
          id,
          channel,
        )
        .toArray();
      const times = (row?.times ?? 0) + 1;
      this.#sql.exec(
        "INSERT OR REPLACE INTO tellings (alert_id, channel, times, next_ms) VALUES (?, ?, ?, ?)",
        id,
        channel,
        times,
        repeatMs(times, nowMs),
      );
    }
  }

  /** When the first row may be forgotten; null without rows. */
  nextForgetMs(): number | null {
    return this.#sql
      .exec<{ at: number | null }>(
        `SELECT min(last_ms + iif(acknowledged_ms IS NULL, ${KEPT_OPEN_MS}, ${KEPT_ACKNOWLEDGED_MS})) AS at
         FROM alerts`,
      )
      .one().at;
  }

  forget(nowMs: number): void {
    this.#sql.exec(
      `DELETE FROM alerts
       WHERE last_ms + iif(acknowledged_ms IS NULL, ${KEPT_OPEN_MS}, ${KEPT_ACKNOWLEDGED_MS}) <= ?`,
      nowMs,
    );
    this.#sql.exec("DELETE FROM tellings WHERE alert_id NOT IN (SELECT id FROM alerts)");
  }

  #find(name: string, subject: string): AlertView | null {
    const [row] = this.#sql
      .exec<StoredAlert>(
        `SELECT ${COLUMNS} FROM alerts a WHERE a.name = ? AND a.subject = ?`,
        name,
        subject,
      )
      .toArray();
    return row === undefined ? null : viewOf(row);
  }

  /** Under which subject it is kept; null when there is no room, which takes fifty names at their bound. */
  #subjectOf(name: string, subject: string): string | null {
    if (this.#find(name, subject) !== null) return subject;
    const { subjects, rows } = this.#sql
      .exec<{ subjects: number; rows: number }>(
        `SELECT (SELECT count(*) FROM alerts WHERE name = ?) AS subjects,
           (SELECT count(*) FROM alerts) AS rows`,
        name,
      )
      .one();
    const isFull = subjects >= SUBJECTS_MAX || rows >= ROWS_MAX;
    if (!isFull) return subject;
    const mayAdd = rows < ROWS_MAX || this.#find(name, OTHER_SUBJECTS) !== null;
    return mayAdd ? OTHER_SUBJECTS : null;
  }
}

function viewOf(row: StoredAlert): AlertView {
  return { ...row, fields: JSON.parse(row.fields) as LogFields };
}

function fieldsText(fields: LogFields): string {
  const text = JSON.stringify(fields);
  return text.length <= FIELDS_LENGTH_MAX ? text : "{}";
}
