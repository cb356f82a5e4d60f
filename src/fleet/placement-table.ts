/**
 * The placements in the Fleet's storage: which device is wanted or assigned, where, and when to try next.
 * SQL only; the rules are in placement.ts. A placement id is drawn in the statement group that uses it.
 */
import { nextPlacementId, type PlacedDevice } from "./placement.ts";

export interface Placement extends PlacedDevice {
  hostId: string | null;
  bootId: string | null;
  assignedMs: number;
  attempts: number;
  askedSinceMs: number | null;
  askedLastMs: number | null;
}

type Row = {
  device_id: string;
  placement_id: number;
  state: "wanted" | "assigned";
  host_id: string | null;
  boot_id: string | null;
  running: number;
  assigned_ms: number;
  attempts: number;
  avoid_host_id: string | null;
  asked_since_ms: number | null;
  asked_last_ms: number | null;
};

export class PlacementTable {
  readonly #sql: SqlStorage;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
  }

  find(deviceId: string): Placement | null {
    return this.#select("WHERE device_id = ?", deviceId)[0] ?? null;
  }

  /** Present and former places on this process: what its report is compared with. */
  placedOn(hostId: string, bootId: string): Placement[] {
    return this.#select("WHERE host_id = ? AND boot_id = ?", hostId, bootId);
  }

  /** Wanted ones and those on hosts that are leaving, longest waiting first. */
  dueToPlace(nowMs: number, limit: number): Placement[] {
    return this.#select(
      `WHERE next_try_ms <= ? AND (state = 'wanted' OR EXISTS (
         SELECT 1 FROM hosts h WHERE h.host_id = placements.host_id
           AND h.boot_id = placements.boot_id AND (h.draining = 1 OR h.drained = 1
             OR h.client_version IN (SELECT version FROM refused_clients))))
       ORDER BY wanted_ms, device_id LIMIT ?`,
      nowMs,
      limit,
    );
  }

  /** Assigned to this process, but not running there in time. */
  dueToRepeat(hostId: string, bootId: string, nowMs: number, limit: number): Placement[] {
    return this.#select(
      `WHERE host_id = ? AND boot_id = ? AND state = 'assigned' AND next_try_ms <= ?
       ORDER BY next_try_ms, device_id LIMIT ?`,
      hostId,
      bootId,
      nowMs,
      limit,
    );
  }

  want(deviceId: string, nowMs: number): void {
    this.#sql.exec(
      `INSERT INTO placements (device_id, state, wanted_ms, next_try_ms) VALUES (?, 'wanted', ?, ?)
       ON CONFLICT DO NOTHING`,
      deviceId,
      nowMs,
      nowMs,
    );
  }

  /** Takes it from where it is; the last place is remembered. */
  wantAnew(deviceId: string, avoidHostId: string | null, nowMs: number): void {
    this.#sql.exec(
      `UPDATE placements SET state = 'wanted', running = 0, wanted_ms = ?, next_try_ms = ?,
         attempts = 0, avoid_host_id = ?, asked_since_ms = NULL, asked_last_ms = NULL
       WHERE device_id = ?`,
      nowMs,
      nowMs,
      avoidHostId,
      deviceId,
    );
  }

  /** This host could not run it; how often it was tried counts on. */
  giveUpOn(deviceId: string, hostId: string, nowMs: number): void {
    this.#sql.exec(
      `UPDATE placements SET state = 'wanted', running = 0, next_try_ms = ?, avoid_host_id = ?
       WHERE device_id = ?`,
      nowMs,
      hostId,
      deviceId,
    );
  }

  noteAsking(deviceId: string, sinceMs: number, nowMs: number): void {
    this.#sql.exec(
      "UPDATE placements SET asked_since_ms = ?, asked_last_ms = ? WHERE device_id = ?",
      sinceMs,
      nowMs,
      deviceId,
    );
  }

  remove(deviceId: string): void {
    this.#sql.exec("DELETE FROM placements WHERE device_id = ?", deviceId);
  }

  /** Assigns under a new id, written before anything is commanded. */
  assignAnew(
    deviceId: string,
    host: { hostId: string; bootId: string },
    nowMs: number,
    nextTryMs: number,
  ): number {
    const placementId = this.#drawPlacementId(nowMs);
    this.#sql.exec(
      `UPDATE placements SET state = 'assigned', placement_id = ?, host_id = ?, boot_id = ?,
         running = 0, assigned_ms = ?, attempts = attempts + 1, next_try_ms = ?
       WHERE device_id = ?`,
      placementId,
      host.hostId,
      host.bootId,
      nowMs,
      nextTryMs,
      deviceId,
    );
    return placementId;
  }

  /** Another ticket for the same placement. */
  assignAgain(deviceId: string, nowMs: number, nextTryMs: number): void {
    this.#sql.exec(
      `UPDATE placements SET running = 0, assigned_ms = ?, attempts = attempts + 1,
         next_try_ms = ? WHERE device_id = ?`,
      nowMs,
      nextTryMs,
      deviceId,
    );
  }

  setNextTry(deviceId: string, nextTryMs: number): void {
    this.#sql.exec(
      "UPDATE placements SET next_try_ms = ? WHERE device_id = ?",
      nextTryMs,
      deviceId,
    );
  }

  /** A report names it: assigned here and running. */
  setRunning(deviceId: string, leaving: boolean, nowMs: number): void {
    this.#sql.exec(
      `UPDATE placements SET state = 'assigned', running = 1, attempts = 0, avoid_host_id = NULL,
         next_try_ms = ? WHERE device_id = ?`,
      leaving ? nowMs : null,
      deviceId,
    );
  }

  setMissing(deviceId: string, nextTryMs: number): void {
    this.#sql.exec(
      "UPDATE placements SET running = 0, next_try_ms = ? WHERE device_id = ?",
      nextTryMs,
      deviceId,
    );
  }

  /** The process is dead: all that it had is wanted. Answers how many. */
  orphan(hostId: string, bootId: string, nowMs: number): number {
    return this.#sql
      .exec(
        `UPDATE placements SET state = 'wanted', running = 0, wanted_ms = ?, next_try_ms = ?,
         attempts = 0, asked_since_ms = NULL, asked_last_ms = NULL
       WHERE host_id = ? AND boot_id = ? AND state = 'assigned' RETURNING device_id`,
        nowMs,
        nowMs,
        hostId,
        bootId,
      )
      .toArray().length;
  }

  /** It stays after all: what runs there is left alone. */
  stay(hostId: string, bootId: string): void {
    this.#sql.exec(
      `UPDATE placements SET next_try_ms = NULL
       WHERE host_id = ? AND boot_id = ? AND state = 'assigned' AND running = 1`,
      hostId,
      bootId,
    );
  }

  /** All that this process has must find another place. */
  drain(hostId: string, bootId: string, nowMs: number): void {
    this.#sql.exec(
      `UPDATE placements SET wanted_ms = ?, next_try_ms = ?, attempts = 0
       WHERE host_id = ? AND boot_id = ? AND state = 'assigned'`,
      nowMs,
      nowMs,
      hostId,
      bootId,
    );
  }

  load(hostId: string, bootId: string, sinceMs: number): { devices: number; recent: number } {
    return this.#sql
      .exec<{ devices: number; recent: number }>(
        `SELECT count(*) AS devices, coalesce(sum(assigned_ms > ?), 0) AS recent FROM placements
         WHERE host_id = ? AND boot_id = ? AND state = 'assigned'`,
        sinceMs,
        hostId,
        bootId,
      )
      .one();
  }

  isEmpty(): boolean {
    return this.#sql.exec("SELECT 1 FROM placements LIMIT 1").toArray().length === 0;
  }

  /** The next try that lies ahead; what is overdue waits for room and is looked at by every sweep. */
  nextTryMs(nowMs: number): number | null {
    return this.#sql
      .exec<{ at: number | null }>(
        "SELECT min(next_try_ms) AS at FROM placements WHERE next_try_ms > ?",
        nowMs,
      )
      .one().at;
  }

  #drawPlacementId(nowMs: number): number {
    const rows = this.#sql
      .exec<{ value: number }>("SELECT value FROM counters WHERE name = 'placement'")
      .toArray();
    const placementId = nextPlacementId(rows[0]?.value ?? 0, nowMs);
    this.#sql.exec(
      `INSERT INTO counters (name, value) VALUES ('placement', ?)
       ON CONFLICT (name) DO UPDATE SET value = excluded.value`,
      placementId,
    );
    return placementId;
  }

  #select(where: string, ...bindings: (string | number)[]): Placement[] {
    return this.#sql
      .exec<Row>(`SELECT * FROM placements ${where}`, ...bindings)
      .toArray()
      .map(toPlacement);
  }
}

function toPlacement(row: Row): Placement {
  return {
    deviceId: row.device_id,
    placementId: row.placement_id,
    state: row.state,
    running: row.running === 1,
    avoidHostId: row.avoid_host_id,
    hostId: row.host_id,
    bootId: row.boot_id,
    assignedMs: row.assigned_ms,
    attempts: row.attempts,
    askedSinceMs: row.asked_since_ms,
    askedLastMs: row.asked_last_ms,
  };
}
