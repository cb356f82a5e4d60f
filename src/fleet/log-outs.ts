/**
 * Phones that WhatsApp is said to have logged out. One at a time they are people's own doing; several at once may be a
 * host that lies or an accident of ours, so the keys of former pairings are kept until the operator has looked. Decides
 * nothing about any phone.
 */
import { logAlert, logInfo } from "../domain/log.ts";

/** So many within the window are several at once. */
const SEVERAL = 5;
const WINDOW_MS = 600_000;
/** How long it is known who was logged out, for whoever looks. */
const KEPT_MS = 7 * 24 * 3_600_000;

export interface LogOut {
  deviceId: string;
  /** Which host said so; null when it was not known any more. */
  hostId: string | null;
  atMs: number;
}

export interface LogOutsView {
  /** Since when archived keys are kept; null: they are dropped in their time. */
  heldSinceMs: number | null;
  /** Of the last seven days, the newest first. */
  logOuts: LogOut[];
}

export class LogOuts {
  readonly #sql: SqlStorage;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
  }

  /** A device may say it again. */
  add(deviceId: string, hostId: string | null, nowMs: number): void {
    this.#sql.exec("DELETE FROM log_outs WHERE at_ms <= ?", nowMs - KEPT_MS);
    this.#sql.exec(
      `INSERT INTO log_outs (device_id, host_id, at_ms) VALUES (?, ?, ?)
       ON CONFLICT (device_id) DO UPDATE SET host_id = excluded.host_id, at_ms = excluded.at_ms`,
      deviceId,
      hostId,
      nowMs,
    );
    const { count } = this.#sql
      .exec<{ count: number }>(
        "SELECT count(*) AS count FROM log_outs WHERE at_ms > ?",
        nowMs - WINDOW_MS,
      )
      .one();
    if (count < SEVERAL) return;
    this.#sql.exec(
      "INSERT INTO log_outs_hold (one, since_ms) VALUES (1, ?) ON CONFLICT DO NOTHING",
      nowMs,
    );
    logAlert("many phones were logged out at once", { hostId, phones: count });
  }

  get heldSinceMs(): number | null {
    const [hold] = this.#sql
      .exec<{ sinceMs: number }>("SELECT since_ms AS sinceMs FROM log_outs_hold")
      .toArray();
    return hold?.sinceMs ?? null;
  }

  view(): LogOutsView {
    const logOuts = this.#sql
      .exec<{ deviceId: string; hostId: string | null; atMs: number }>(
        `SELECT device_id AS deviceId, host_id AS hostId, at_ms AS atMs FROM log_outs
         ORDER BY at_ms DESC, device_id LIMIT 1000`,
      )
      .toArray();
    return { heldSinceMs: this.heldSinceMs, logOuts };
  }

  /** The operator has looked: keys are dropped in their time again. */
  release(): void {
    this.#sql.exec("DELETE FROM log_outs_hold");
    logInfo("archived keys are dropped in their time again");
  }
}
