/**
 * The approved hosts in the Fleet's storage: who they are, which process of theirs is accepted and since when it
 * is gone. SQL only; decides nothing.
 */

/** An approved host and its accepted process. */
export interface HostRecord {
  hostId: string;
  name: string;
  tokenHash: string;
  devicesMax: number;
  bootId: string | null;
  capacity: number;
  clientVersion: string | null;
  /** The version of the bridge that its process speaks. */
  protocol: number | null;
  /** The process is on its way out. */
  draining: boolean;
  /** The operator wants it empty. */
  drained: boolean;
  /** WhatsApp refuses its client version. */
  clientRefused: boolean;
  goneByMs: number | null;
}

/** True when its phones belong elsewhere as soon as another host has room. */
export function isLeaving(host: HostRecord): boolean {
  return host.draining || host.drained || host.clientRefused;
}

const RETIRED_BOOTS_MAX = 20;

type Row = {
  host_id: string;
  name: string;
  token_hash: string;
  devices_max: number;
  boot_id: string | null;
  capacity: number;
  client_version: string | null;
  protocol: number | null;
  draining: number;
  drained: number;
  client_refused: number;
  gone_by_ms: number | null;
};

const SELECT = `
SELECT h.*, EXISTS (SELECT 1 FROM refused_clients r WHERE r.version = h.client_version) AS client_refused
FROM hosts h`;

export class HostTable {
  readonly #sql: SqlStorage;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
  }

  all(): HostRecord[] {
    return this.#sql.exec<Row>(`${SELECT} ORDER BY host_id`).toArray().map(toRecord);
  }

  find(hostId: string): HostRecord | null {
    const rows = this.#sql.exec<Row>(`${SELECT} WHERE host_id = ?`, hostId).toArray();
    return rows[0] === undefined ? null : toRecord(rows[0]);
  }

  /** False when the id or the token is taken. */
  approve(host: { hostId: string; name: string; tokenHash: string; devicesMax: number }): boolean {
    const inserted = this.#sql
      .exec(
        `INSERT INTO hosts (host_id, name, token_hash, devices_max) VALUES (?, ?, ?, ?)
         ON CONFLICT DO NOTHING RETURNING host_id`,
        host.hostId,
        host.name,
        host.tokenHash,
        host.devicesMax,
      )
      .toArray();
    return inserted.length === 1;
  }

  /** True when the host has exactly this approval already. */
  isApprovedAs(host: { hostId: string; tokenHash: string }): boolean {
    return this.find(host.hostId)?.tokenHash === host.tokenHash;
  }

  revoke(hostId: string): void {
    this.#sql.exec("DELETE FROM hosts WHERE host_id = ?", hostId);
    this.#sql.exec("DELETE FROM retired_boots WHERE host_id = ?", hostId);
  }

  /** This process is the host now. The same process coming back stays as drained as it was. */
  accept(
    hostId: string,
    boot: { bootId: string; capacity: number; clientVersion: string; protocol: number },
  ): void {
    this.#sql.exec(
      `UPDATE hosts SET draining = CASE WHEN boot_id IS ? THEN draining ELSE 0 END,
         boot_id = ?, capacity = ?, client_version = ?, protocol = ?, gone_by_ms = NULL
       WHERE host_id = ?`,
      boot.bootId,
      boot.bootId,
      boot.capacity,
      boot.clientVersion,
      boot.protocol,
      hostId,
    );
    this.#sql.exec(
      "DELETE FROM retired_boots WHERE host_id = ? AND boot_id = ?",
      hostId,
      boot.bootId,
    );
    this.#sql.exec(
      `DELETE FROM retired_boots WHERE host_id = ?1 AND boot_id NOT IN
         (SELECT boot_id FROM retired_boots WHERE host_id = ?1 ORDER BY at_ms DESC LIMIT ?2)`,
      hostId,
      RETIRED_BOOTS_MAX,
    );
  }

  /** A newer process took over from this one. */
  retire(hostId: string, bootId: string, nowMs: number): void {
    this.#sql.exec(
      "INSERT OR REPLACE INTO retired_boots (host_id, boot_id, at_ms) VALUES (?, ?, ?)",
      hostId,
      bootId,
      nowMs,
    );
  }

  isRetired(hostId: string, bootId: string): boolean {
    return (
      this.#sql
        .exec("SELECT 1 FROM retired_boots WHERE host_id = ? AND boot_id = ?", hostId, bootId)
        .toArray().length > 0
    );
  }

  setDraining(hostId: string): void {
    this.#sql.exec("UPDATE hosts SET draining = 1 WHERE host_id = ?", hostId);
  }

  /** The operator's word; it holds for whatever process comes. */
  setDrained(hostId: string, drained: boolean): void {
    this.#sql.exec("UPDATE hosts SET drained = ? WHERE host_id = ?", Number(drained), hostId);
  }

  /** The control socket is lost; the boot is dead at `goneByMs` unless it comes back. */
  setGoneBy(hostId: string, goneByMs: number): void {
    this.#sql.exec("UPDATE hosts SET gone_by_ms = ? WHERE host_id = ?", goneByMs, hostId);
  }

  /** No process of this host is accepted any more. */
  clearBoot(hostId: string): void {
    this.#sql.exec(
      "UPDATE hosts SET boot_id = NULL, draining = 0, gone_by_ms = NULL WHERE host_id = ?",
      hostId,
    );
  }

  nextGoneByMs(): number | null {
    return this.#sql.exec<{ at: number | null }>("SELECT min(gone_by_ms) AS at FROM hosts").one()
      .at;
  }
}

function toRecord(row: Row): HostRecord {
  return {
    hostId: row.host_id,
    name: row.name,
    tokenHash: row.token_hash,
    devicesMax: row.devices_max,
    bootId: row.boot_id,
    capacity: row.capacity,
    clientVersion: row.client_version,
    protocol: row.protocol,
    draining: row.draining === 1,
    drained: row.drained === 1,
    clientRefused: row.client_refused === 1,
    goneByMs: row.gone_by_ms,
  };
}
