/**
 * The devices that a restore concerns, and how far each is: in the object's storage. SQL only; whom to ask next is
 * decided by when, what is wanted by the object.
 */
import type { RepostObstacle } from "../billing/reposting.ts";
import type { KnownDevice, RestoreView, TroubledDevice } from "./interface.ts";

const TROUBLED_MAX = 50;
const NO_ANSWER_AFTER = 3;

type Row = {
  device_id: string;
  account_id: number;
  waid: string;
  left_count: number | null;
  obstacle: string | null;
};

export class DeviceList {
  readonly #sql: SqlStorage;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
  }

  /** Seen in the books as they are now. New ones are asked at once; `mustTell`: also for what they know. */
  seen(
    devices: readonly KnownDevice[],
    { generation, mustTell }: { generation: number; mustTell: boolean },
    nowMs: number,
  ): void {
    for (const { deviceId, accountId, waid } of devices) {
      this.#sql.exec(
        `INSERT INTO devices (device_id, account_id, waid, seen_generation, must_tell, next_try_ms)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)
         ON CONFLICT (device_id) DO UPDATE SET seen_generation = excluded.seen_generation
         WHERE seen_generation <> excluded.seen_generation`,
        deviceId,
        accountId,
        waid,
        generation,
        Number(mustTell),
        nowMs,
      );
    }
  }

  /** Listed once, and not seen in this generation of the books. */
  forgotten(deviceId: string, generation: number): KnownDevice | null {
    const [row] = this.#sql
      .exec<KnownDevice & Record<string, SqlStorageValue>>(
        `SELECT device_id AS deviceId, account_id AS accountId, waid FROM devices
         WHERE device_id = ? AND seen_generation < ?`,
        deviceId,
        generation,
      )
      .toArray();
    return row ?? null;
  }

  /** Something else is wanted from now on. */
  askAll(nowMs: number): void {
    this.#sql.exec("UPDATE devices SET told = 0, failures = 0, next_try_ms = ?", nowMs);
  }

  tellAll(): void {
    this.#sql.exec("UPDATE devices SET must_tell = 1");
  }

  mustTell(deviceId: string): boolean {
    const query = "SELECT 1 FROM devices WHERE device_id = ? AND must_tell = 1";
    return this.#sql.exec(query, deviceId).toArray().length > 0;
  }

  due(nowMs: number, countMax: number): string[] {
    return this.#sql
      .exec<{ device_id: string }>(
        "SELECT device_id FROM devices WHERE next_try_ms <= ? ORDER BY next_try_ms LIMIT ?",
        nowMs,
        countMax,
      )
      .toArray()
      .map((row) => row.device_id);
  }

  nextTryMs(): number | null {
    return this.#sql.exec<{ at: number | null }>("SELECT min(next_try_ms) AS at FROM devices").one()
      .at;
  }

  answered(
    deviceId: string,
    answer: { left: number | null; obstacle: RepostObstacle | null },
    nextTryMs: number | null,
  ): void {
    this.#sql.exec(
      `UPDATE devices SET told = 1, must_tell = iif(?2, 0, must_tell), left_count = ?3, obstacle = ?4, failures = 0,
         next_try_ms = ?5
       WHERE device_id = ?1`,
      deviceId,
      Number(answer.left === null),
      answer.left,
      answer.obstacle,
      nextTryMs,
    );
  }

  /** Answers how often in a row. */
  failed(deviceId: string): number {
    return this.#sql
      .exec<{ failures: number }>(
        "UPDATE devices SET failures = failures + 1 WHERE device_id = ? RETURNING failures",
        deviceId,
      )
      .one().failures;
  }

  tryAt(deviceId: string, nextTryMs: number): void {
    this.#sql.exec("UPDATE devices SET next_try_ms = ? WHERE device_id = ?", nextTryMs, deviceId);
  }

  counts(generation: number): RestoreView["devices"] {
    return this.#sql
      .exec<RestoreView["devices"]>(
        `SELECT count(*) AS "all", count(*) FILTER (WHERE told = 0) AS untold,
           count(*) FILTER (WHERE told = 1 AND must_tell = 1) AS telling,
           count(*) FILTER (WHERE seen_generation < ?) AS "unknown" FROM devices`,
        generation,
      )
      .one();
  }

  troubled(): TroubledDevice[] {
    return this.#sql
      .exec<Row>(
        `SELECT device_id, account_id, waid, left_count,
           iif(failures >= ${NO_ANSWER_AFTER}, 'no_answer', obstacle) AS obstacle FROM devices
         WHERE obstacle IS NOT NULL OR failures >= ${NO_ANSWER_AFTER}
         ORDER BY account_id, device_id LIMIT ${TROUBLED_MAX}`,
      )
      .toArray()
      .map((row) => ({
        deviceId: row.device_id,
        accountId: row.account_id,
        waid: row.waid,
        left: row.left_count,
        obstacle: row.obstacle as TroubledDevice["obstacle"],
      }));
  }

  clear(): void {
    this.#sql.exec("DELETE FROM devices");
  }
}
