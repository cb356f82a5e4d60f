/**
 * Tells devices what their account wants of them: the endpoints that hear their events, whose texts they keep and how
 * long. What D1 says is not confirmed yet is told again by the cron, so a call that is lost costs a minute.
 */
import type { DeviceClient } from "../device/client.ts";
import { deviceWasTold, untoldDevices, type UntoldDevice } from "../directory/device-settings.ts";
import { errorFields, logWarning } from "../domain/log.ts";
import { askDevice } from "./ask-device.ts";

const CALL_TIMEOUT_MS = 3_000;
const DEVICES_AT_ONCE = 6;
const DEVICES_A_RUN = 200;

export interface TellTools {
  db: D1Database;
  devices: DeviceClient;
}

/** `accountId` null: whoever has not heard. */
export async function tellDevices(tools: TellTools, accountId: number | null): Promise<void> {
  const waiting = await untoldDevices(tools.db, accountId, DEVICES_A_RUN);
  const worker = async () => {
    for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
      await tell(tools, next);
    }
  };
  await Promise.all(Array.from({ length: DEVICES_AT_ONCE }, worker));
}

async function tell(tools: TellTools, { identity, settings }: UntoldDevice): Promise<void> {
  try {
    const told = await askDevice(tools.devices, identity, CALL_TIMEOUT_MS, (devices) =>
      devices.configure(identity, settings),
    );
    if (told.ok) await deviceWasTold(tools.db, identity.deviceId, told.value.revision);
    else logWarning("device takes no settings", { waid: identity.waid, ...told.error });
  } catch (error) {
    logWarning("device not told", { waid: identity.waid, ...errorFields(error) });
  }
}
