/**
 * Devices as D1 knows them: which account owns one, and a mirror of its status for the accepting batch. What a
 * device really does is known to its object alone.
 */
import { askD1 } from "../db/ask.ts";
import { and, asc, eq, isNull } from "drizzle-orm";
import { books } from "../db/client.ts";
import { devices } from "../db/schema.ts";
import type { DeviceStatus } from "../domain/device-status.ts";
import type { TextsKept } from "../domain/texts-kept.ts";

export interface DeviceMirror {
  deviceId: string;
  status: DeviceStatus;
  phone: string | null;
  revision: number;
}

/** Which object a device is, and whose. None of it ever changes. */
export interface DeviceKey {
  deviceId: string;
  accountId: number;
  waid: string;
}

export interface DeviceRow extends DeviceKey {
  name: string;
  status: DeviceStatus;
  phone: string | null;
  textsKept: TextsKept;
}

/** What the device's object needs to hear, and no more. */
export function deviceKey({ deviceId, accountId, waid }: DeviceKey): DeviceKey {
  return { deviceId, accountId, waid };
}

/** Devices a listing answers. */
const LISTED_MAX = 1_000;

const MIRROR = `
UPDATE devices SET status = ?2, phone = ?3, status_revision = ?4 WHERE id = ?1 AND status_revision < ?4`;

/** Keeps the row in step; an older revision never overwrites a newer one. */
export async function mirrorDeviceStatus(db: D1Database, mirror: DeviceMirror): Promise<void> {
  const { deviceId, status, phone, revision } = mirror;
  await askD1("mirror_device", () =>
    db.prepare(MIRROR).bind(deviceId, status, phone, revision).run(),
  );
}

const columns = {
  deviceId: devices.id,
  accountId: devices.accountId,
  waid: devices.waid,
  name: devices.name,
  status: devices.status,
  phone: devices.phone,
  textsKept: devices.textsKept,
};

export async function devicesOfAccount(db: D1Database, accountId: number): Promise<DeviceRow[]> {
  return askD1("list_devices", async () =>
    books(db)
      .select(columns)
      .from(devices)
      .where(and(eq(devices.accountId, accountId), isNull(devices.deletedMs)))
      .orderBy(asc(devices.createdMs), asc(devices.waid))
      .limit(LISTED_MAX),
  );
}

/** For the operator: devices of all accounts. */
export async function devicesWithStatus(
  db: D1Database,
  status: DeviceStatus | null,
): Promise<DeviceRow[]> {
  return askD1("list_all_devices", async () =>
    books(db)
      .select(columns)
      .from(devices)
      .where(
        and(isNull(devices.deletedMs), status === null ? undefined : eq(devices.status, status)),
      )
      .orderBy(asc(devices.createdMs))
      .limit(LISTED_MAX),
  );
}

/** Whoever's it is: for the operator. */
export async function deviceByWaid(db: D1Database, waid: string): Promise<DeviceRow | null> {
  const rows = await askD1("find_device", async () =>
    books(db)
      .select(columns)
      .from(devices)
      .where(and(eq(devices.waid, waid), isNull(devices.deletedMs))),
  );
  return rows[0] ?? null;
}

export async function renameDevice(db: D1Database, deviceId: string, name: string): Promise<void> {
  await askD1("rename_device", async () =>
    books(db).update(devices).set({ name }).where(eq(devices.id, deviceId)),
  );
}

const DELETE_DEVICE = "UPDATE devices SET deleted_ms = ?2 WHERE id = ?1 AND deleted_ms IS NULL";
const END_SUBSCRIPTION = "UPDATE subscriptions SET active = 0 WHERE device_id = ?1 AND active = 1";

/** The row stays: messages name it, and its waid is never given out again. No further period is made. */
export async function markDeviceDeleted(
  db: D1Database,
  deviceId: string,
  nowMs: number,
): Promise<void> {
  await askD1("delete_device", () =>
    db.batch([
      db.prepare(DELETE_DEVICE).bind(deviceId, nowMs),
      db.prepare(END_SUBSCRIPTION).bind(deviceId),
    ]),
  );
}
