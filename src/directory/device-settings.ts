/**
 * What each device must know of its account's wishes, and whether it has heard: the revision that triggers raise with
 * every change beside the one the device confirmed. Decides nothing and calls no device.
 */
import { askD1 } from "../db/ask.ts";
import type { DeviceIdentity, DeviceSettings } from "../device/interface.ts";
import type { EventType } from "../domain/event.ts";
import { invariant } from "../domain/result.ts";
import type { TextsKept } from "../domain/texts-kept.ts";

export interface UntoldDevice {
  identity: DeviceIdentity;
  settings: DeviceSettings;
}

interface UntoldRow {
  id: string;
  account_id: number;
  waid: string;
  settings_revision: number;
  texts_kept: TextsKept;
  texts_kept_days: number;
  keeps_events: number;
  endpoints: string;
}

interface ListedEndpoint {
  id: string;
  kind: "inbox" | "tracking" | null;
  types: string | null;
}

const DAY_MS = 24 * 3_600_000;

/** A form carries one kind of event; what else happens need not travel to it. */
const KIND_TYPES: Record<"inbox" | "tracking", EventType[]> = {
  inbox: ["message.inbound"],
  tracking: [
    "message.pending",
    "message.sent",
    "message.received",
    "message.read",
    "message.cancel",
    "message.reject",
  ],
};

/** ?1 account or null for all, ?2 rows. */
const UNTOLD = `
SELECT d.id, d.account_id, d.waid, d.settings_revision, d.texts_kept, a.texts_kept_days, a.keeps_events,
  (SELECT json_group_array(json_object('id', e.id, 'kind', e.kind, 'types', e.types))
   FROM endpoints e
   WHERE e.account_id = d.account_id AND e.deleted_ms IS NULL
     AND (e.devices IS NULL OR d.id IN (SELECT value FROM json_each(e.devices)))) AS endpoints
FROM devices d JOIN accounts a ON a.id = d.account_id
WHERE d.settings_told < d.settings_revision AND d.deleted_ms IS NULL AND (?1 IS NULL OR d.account_id = ?1)
LIMIT ?2`;

const TOLD = `
UPDATE devices SET settings_told = max(settings_told, ?2) WHERE id = ?1 AND settings_told < ?2`;

/** `accountId` null: of any account. */
export async function untoldDevices(
  db: D1Database,
  accountId: number | null,
  countMax: number,
): Promise<UntoldDevice[]> {
  const { results } = await askD1("untold_devices", () =>
    db.prepare(UNTOLD).bind(accountId, countMax).all<UntoldRow>(),
  );
  return results.map((row) => ({
    identity: { deviceId: row.id, accountId: row.account_id, waid: row.waid },
    settings: {
      revision: row.settings_revision,
      keepsEvents: row.keeps_events === 1,
      textsKept: row.texts_kept,
      textsKeptMs: row.texts_kept_days * DAY_MS,
      endpoints: (JSON.parse(row.endpoints) as ListedEndpoint[]).map(({ id, kind, types }) => ({
        endpointId: id,
        types:
          kind === null
            ? types === null
              ? null
              : (JSON.parse(types) as EventType[])
            : KIND_TYPES[kind],
      })),
    },
  }));
}

export async function deviceWasTold(
  db: D1Database,
  deviceId: string,
  revision: number,
): Promise<void> {
  await askD1("device_told", () => db.prepare(TOLD).bind(deviceId, revision).run());
}

const KEEP_TEXTS = "UPDATE devices SET texts_kept = ?2 WHERE id = ?1";
const KEEP_EVENTS = "UPDATE accounts SET keeps_events = ?2 WHERE id = ?1 AND keeps_events <> ?2";

/** Whose texts a device keeps. */
export async function keepTexts(db: D1Database, deviceId: string, kept: TextsKept): Promise<void> {
  await askD1("keep_texts", () => db.prepare(KEEP_TEXTS).bind(deviceId, kept).run());
}

/** Whether an account's devices keep events to be asked for. */
export async function keepEvents(db: D1Database, accountId: number, kept: boolean): Promise<void> {
  await askD1("keep_events", () => db.prepare(KEEP_EVENTS).bind(accountId, Number(kept)).run());
}

/** How long an account's texts are kept. */
export async function textsKeptMsOf(db: D1Database, accountId: number): Promise<number> {
  const days = await askD1("read_texts_kept", () =>
    db
      .prepare("SELECT texts_kept_days FROM accounts WHERE id = ?1")
      .bind(accountId)
      .first<number>("texts_kept_days"),
  );
  invariant(days !== null, "an account that was just checked exists");
  return days * DAY_MS;
}
