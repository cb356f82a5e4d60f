/**
 * Devices as D1 knows them: which account owns one, and a mirror of its status for the accepting batch. What a
 * device really does is known to its object alone.
 */
import { askD1 } from "../db/ask.ts";
import { asc, eq } from "drizzle-orm";
import { books } from "../db/client.ts";
import { devices } from "../db/schema.ts";
import type { DeviceStatus } from "../domain/device-status.ts";

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
};

export async function devicesOfAccount(db: D1Database, accountId: number): Promise<DeviceRow[]> {
  return askD1("list_devices", async () =>
    books(db)
      .select(columns)
      .from(devices)
      .where(eq(devices.accountId, accountId))
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
      .where(status === null ? undefined : eq(devices.status, status))
      .orderBy(asc(devices.createdMs))
      .limit(LISTED_MAX),
  );
}
