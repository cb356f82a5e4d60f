/**
 * Whose phone this object is, and how the phone stands: the one row of table `device`, read once and kept in
 * memory, because every call checks it. Refuses callers whose device or account differs. Decides nothing else.
 */
import type { RepostObstacle } from "../billing/reposting.ts";
import { invariant } from "../domain/result.ts";
import type {
  DeviceIdentity,
  DeviceRefusal,
  DeviceStatus,
  DeviceView,
  PauseReason,
  TextsKept,
} from "./interface.ts";

export interface DeviceState {
  deviceId: string;
  accountId: number;
  waid: string;
  status: DeviceStatus;
  /** Rises with every change that D1 shall see. */
  statusRev: number;
  mirroredRev: number;
  /** 1 while keys of a finished pairing are in use. */
  paired: number;
  phone: string | null;
  lid: string | null;
  generation: number;
  pairingPhone: string | null;
  pairingSinceMs: number | null;
  pairingQr: string | null;
  pairingCode: string | null;
  pairingExpiresMs: number | null;
  /** 1 from a scan until the phone was told. */
  greet: number;
  unlinkingSinceMs: number | null;
  /** The epoch whose keys are accepted; 0 while none is. */
  epoch: number;
  epochMax: number;
  /** The epoch under which the session was last said to be open, 0 once it was said to be otherwise. */
  sessionEpoch: number;
  drainedMs: number | null;
  control: string | null;
  retentionMs: number | null;
  releaseDue: number;
  /** When the device was deleted; it never comes back. */
  closedMs: number | null;
  /** What the account wants of this device (settings.ts). */
  settingsRev: number;
  keepsEvents: number;
  textsKept: TextsKept;
  textsKeptMs: number;
  /** The status that became an event last; null while events are not kept. */
  toldStatus: DeviceStatus | null;
  /** Messages accepted up to then and still waiting are known to wait. */
  toldWaitingMs: number;
  /** Which restore of the books this device has heard of. */
  booksGeneration: number;
  /** Since when nothing is handed over; null when it may be. */
  heldSinceMs: number | null;
  /** Up to which message the restored books have been told; null when they know all. */
  repostAfter: number | null;
  repostObstacle: RepostObstacle | null;
  /** Null while it is not paused (session-close.ts). */
  pausedReason: PauseReason | null;
  /** Times in JSON: of closes that count against the phone, and of its last connections tried. */
  closes: string;
  attempts: string;
  /** When the session was opened again last; null since a scan. */
  openedMs: number | null;
  /** WhatsApp's lock on new chats (restriction.ts). */
  restrictedUntilMs: number | null;
  restrictedKnown: number;
  restrictedSinceMs: number;
  restrictionAskedMs: number;
  restrictionLiftedMs: number | null;
}

export type DevicePatch = Partial<Omit<DeviceState, "deviceId" | "accountId" | "waid">>;

const COLUMNS: Record<keyof DeviceState, string> = {
  deviceId: "device_id",
  accountId: "account_id",
  waid: "waid",
  status: "status",
  statusRev: "status_rev",
  mirroredRev: "mirrored_rev",
  paired: "paired",
  phone: "phone",
  lid: "lid",
  generation: "generation",
  pairingPhone: "pairing_phone",
  pairingSinceMs: "pairing_since_ms",
  pairingQr: "pairing_qr",
  pairingCode: "pairing_code",
  pairingExpiresMs: "pairing_expires_ms",
  greet: "greet",
  unlinkingSinceMs: "unlinking_since_ms",
  epoch: "epoch",
  epochMax: "epoch_max",
  sessionEpoch: "session_epoch",
  drainedMs: "drained_ms",
  control: "control",
  retentionMs: "retention_ms",
  releaseDue: "release_due",
  closedMs: "closed_ms",
  settingsRev: "settings_rev",
  keepsEvents: "keeps_events",
  textsKept: "texts_kept",
  textsKeptMs: "texts_kept_ms",
  toldStatus: "told_status",
  toldWaitingMs: "told_waiting_ms",
  booksGeneration: "books_generation",
  heldSinceMs: "held_since_ms",
  repostAfter: "repost_after",
  repostObstacle: "repost_obstacle",
  pausedReason: "paused_reason",
  closes: "closes",
  attempts: "attempts",
  openedMs: "opened_ms",
  restrictedUntilMs: "restricted_until_ms",
  restrictedKnown: "restricted_known",
  restrictedSinceMs: "restricted_since_ms",
  restrictionAskedMs: "restriction_asked_ms",
  restrictionLiftedMs: "restriction_lifted_ms",
};
const NAMES = Object.keys(COLUMNS) as (keyof DeviceState)[];

/** Gives a blank object, whose tables exist, its identity. */
export function createIdentity(sql: SqlStorage, identity: DeviceIdentity): void {
  sql.exec(
    `INSERT INTO device (one, device_id, account_id, waid, status, status_rev, mirrored_rev, paired,
       generation, greet, epoch, epoch_max, session_epoch, release_due)
     VALUES (1, ?, ?, ?, 'unpaired', 0, 0, 0, 1, 0, 0, 0, 0, 0)`,
    identity.deviceId,
    identity.accountId,
    identity.waid,
  );
}

export class Identity {
  readonly #sql: SqlStorage;
  #state: DeviceState;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
    this.#state = this.#read();
  }

  get state(): Readonly<DeviceState> {
    return this.#state;
  }

  /** Null when the caller names this device and its account. */
  refusalOf(identity: DeviceIdentity): DeviceRefusal | null {
    const same =
      identity.deviceId === this.#state.deviceId && identity.accountId === this.#state.accountId;
    return same ? null : { reason: "foreign" };
  }

  patch(patch: DevicePatch): void {
    const names = (Object.keys(patch) as (keyof DevicePatch)[]).filter(
      (name) => patch[name] !== this.#state[name],
    );
    if (names.length === 0) return;
    const next = { ...this.#state, ...patch };
    this.#sql.exec(
      `UPDATE device SET ${names.map((name) => `${COLUMNS[name]} = ?`).join(", ")}`,
      ...names.map((name) => next[name]),
    );
    this.#state = next;
  }

  /** A new status, and what goes with it; D1 is told later. */
  become(status: DeviceStatus, beside: DevicePatch = {}): void {
    const phone = beside.phone === undefined ? this.#state.phone : beside.phone;
    const news = status !== this.#state.status || phone !== this.#state.phone;
    this.patch({
      ...(status === "paused" ? {} : { pausedReason: null }),
      ...beside,
      status,
      ...(news ? { statusRev: this.#state.statusRev + 1 } : {}),
    });
  }

  /** After a transaction was rolled back, memory must not run ahead of storage. */
  reload(): void {
    this.#state = this.#read();
  }

  view(nowMs: number): DeviceView {
    const state = this.#state;
    const running = state.status === "pairing" && (state.pairingExpiresMs ?? 0) > nowMs;
    return {
      waid: state.waid,
      status: state.status,
      phone: state.phone,
      pausedReason: state.status === "paused" ? state.pausedReason : null,
      restrictedUntilMs: state.restrictedUntilMs,
      pairing:
        running && state.pairingExpiresMs !== null
          ? { qr: state.pairingQr, code: state.pairingCode, expiresAtMs: state.pairingExpiresMs }
          : null,
    };
  }

  #read(): DeviceState {
    const rows = this.#sql
      .exec<DeviceState & Record<string, SqlStorageValue>>(
        `SELECT ${NAMES.map((name) => `${COLUMNS[name]} AS ${name}`).join(", ")} FROM device`,
      )
      .toArray();
    const row = rows[0];
    invariant(row !== undefined, "a device with tables has an identity");
    return row;
  }
}
