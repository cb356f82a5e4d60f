/**
 * Whether a seal key is still needed: how many stored session rows each key sealed, over all devices, a page of devices a
 * question. A device that does not answer is counted, since it may hold rows of any key.
 */
import type { DeviceClient } from "../device/client.ts";
import { devicesAfter } from "../directory/restored-books.ts";
import { errorFields, logWarning } from "../domain/log.ts";

const DEVICES_A_PAGE = 100;
const DEVICES_AT_ONCE = 6;
/** Deleted devices keep archived keys for seven days. */
const DELETED_SINCE_MS = 8 * 24 * 3_600_000;

export interface SealKeysPage {
  /** By seal key id. */
  rows: Record<string, number>;
  devices: number;
  unreached: number;
  /** Null after the last page. */
  nextAfter: string | null;
}

export async function sealKeysPage(
  tools: { db: D1Database; devices: DeviceClient },
  afterDeviceId: string,
  nowMs: number,
): Promise<SealKeysPage> {
  const since = nowMs - DELETED_SINCE_MS;
  const listed = await devicesAfter(tools.db, afterDeviceId, since, DEVICES_A_PAGE);
  const rows: Record<string, number> = {};
  let unreached = 0;
  const queue = listed.values();
  const worker = async (): Promise<void> => {
    for (const { deviceId } of queue) {
      try {
        const counted = await tools.devices.sealKeys(deviceId);
        // A blank object has never had a phone.
        const own = counted.ok ? counted.value : {};
        for (const [key, count] of Object.entries(own)) rows[key] = (rows[key] ?? 0) + count;
      } catch (error) {
        unreached += 1;
        logWarning("seal keys not counted", { deviceId, ...errorFields(error) });
      }
    }
  };
  await Promise.all(Array.from({ length: DEVICES_AT_ONCE }, worker));
  const last = listed.length === DEVICES_A_PAGE ? listed.at(-1) : undefined;
  return { rows, devices: listed.length, unreached, nextAfter: last?.deviceId ?? null };
}
