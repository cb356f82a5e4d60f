/**
 * Takes the phones of a revoked host away from it: each device is told that this host is dismissed, and told again
 * until it has answered. Kept in the Fleet's storage, worked off inside its alarm, bounded in time per run. Knows
 * nothing of where the device goes next.
 */
import type { DeviceRpc } from "../device/interface.ts";
import type { Clock } from "../domain/clock.ts";
import { randomFraction, type RandomBytes } from "../domain/id.ts";
import { errorFields, logAlert, logWarning } from "../domain/log.ts";
import { dismissRetryDelayMs } from "./placement.ts";

/** None is begun this long after the run began: the sweep of dead hosts must not wait. */
const RUN_MS = 3_000;
/** The runtime allows six open connections at a time. */
const PARALLEL = 5;
const PER_RUN_MAX = 500;
/** A device that is silent this often is worth a person's look. */
const ATTEMPTS_TO_ALERT = 5;

type Row = { device_id: string; host_id: string; attempts: number };

/** Ends by itself, with a throw if need be. */
export type Dismiss = (deviceId: string, hostId: string) => ReturnType<DeviceRpc["dismiss"]>;

export interface DismissalsParts {
  sql: SqlStorage;
  dismiss: Dismiss;
  clock: Clock;
  random: RandomBytes;
}

export class Dismissals {
  readonly #parts: DismissalsParts;

  constructor(parts: DismissalsParts) {
    this.#parts = parts;
  }

  /**
   * Of every device that may still be open for this host: placed there now or last, or not yet seen running where
   * it was placed since. Answers how many.
   */
  add(hostId: string, nowMs: number): number {
    return this.#parts.sql
      .exec(
        `INSERT OR IGNORE INTO dismissals (device_id, host_id, next_try_ms)
         SELECT device_id, ?1, ?2 FROM placements WHERE host_id = ?1 OR running = 0
         RETURNING device_id`,
        hostId,
        nowMs,
      )
      .toArray().length;
  }

  /** One round. */
  async run(): Promise<void> {
    const { clock } = this.#parts;
    const startedMs = clock();
    const queue = this.#due(startedMs).values();
    const worker = async (): Promise<void> => {
      for (const row of queue) {
        if (clock() - startedMs >= RUN_MS) return;
        await this.#tell(row);
      }
    };
    await Promise.all(Array.from({ length: PARALLEL }, worker));
  }

  nextTryMs(): number | null {
    return this.#parts.sql
      .exec<{ at: number | null }>("SELECT min(next_try_ms) AS at FROM dismissals")
      .one().at;
  }

  #due(nowMs: number): Row[] {
    return this.#parts.sql
      .exec<Row>(
        `SELECT device_id, host_id, attempts FROM dismissals WHERE next_try_ms <= ?
         ORDER BY next_try_ms LIMIT ${PER_RUN_MAX}`,
        nowMs,
      )
      .toArray();
  }

  async #tell({ device_id: deviceId, host_id: hostId, attempts }: Row): Promise<void> {
    const { sql, dismiss, clock, random } = this.#parts;
    try {
      // A refusal is an answer too: such an object has no host.
      await dismiss(deviceId, hostId);
      sql.exec("DELETE FROM dismissals WHERE device_id = ? AND host_id = ?", deviceId, hostId);
    } catch (error) {
      const nextTryMs = clock() + dismissRetryDelayMs(attempts + 1, randomFraction(random));
      sql.exec(
        "UPDATE dismissals SET attempts = ?, next_try_ms = ? WHERE device_id = ? AND host_id = ?",
        attempts + 1,
        nextTryMs,
        deviceId,
        hostId,
      );
      const fields = { deviceId, hostId, attempts: attempts + 1, ...errorFields(error) };
      if (attempts + 1 === ATTEMPTS_TO_ALERT) logAlert("revoked host not dismissed", fields);
      else logWarning("revoked host not dismissed yet", fields);
    }
  }
}
