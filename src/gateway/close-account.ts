/**
 * Ends an account for good: its keys stop at once, its webhooks forget everything, its devices let their phones go and
 * forget their texts. The books stay. May be repeated until everything was reached.
 */
import type { DeviceClient } from "../device/client.ts";
import { closeAccountRow } from "../directory/accounts.ts";
import { deviceKey, devicesOfAccount, markDeviceDeleted } from "../directory/devices.ts";
import type { Clock } from "../domain/clock.ts";
import { errorFields, logWarning } from "../domain/log.ts";
import type { EndpointClient } from "../endpoint/client.ts";
import { askDevice } from "./ask-device.ts";
import { closeDeleted } from "./close-deleted.ts";
import { DEVICE_TIMEOUT_MS } from "./device-answer.ts";
import { tellDevices } from "./tell-devices.ts";

export interface CloseTools {
  db: D1Database;
  devices: DeviceClient;
  endpoints: EndpointClient;
  clock: Clock;
}

/** Null when there is no such account; else how many of its devices could not be reached. */
export async function closeAccount(
  tools: CloseTools,
  accountId: number,
): Promise<{ unreached: number } | null> {
  if (!(await closeAccountRow(tools.db, accountId, tools.clock()))) return null;
  // Without endpoints a device has nobody left to tell, and forgets at once.
  await tellDevices(tools, accountId);
  await closeDeleted(tools);
  let unreached = 0;
  for (const device of await devicesOfAccount(tools.db, accountId)) {
    const identity = deviceKey(device);
    try {
      const closed = await askDevice(tools.devices, identity, DEVICE_TIMEOUT_MS, (devices) =>
        devices.close(identity),
      );
      if (closed.ok) await markDeviceDeleted(tools.db, identity.deviceId, tools.clock());
      else unreached += 1;
    } catch (error) {
      unreached += 1;
      logWarning("device not closed", { waid: identity.waid, ...errorFields(error) });
    }
  }
  return { unreached };
}
