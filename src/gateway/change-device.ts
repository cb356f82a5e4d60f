/**
 * Renaming a device, choosing whose texts it keeps, and deleting one. Deleting closes the object first and marks the row after: whatever happens in
 * between, nothing more is sent from it and every waiting message has its end, and the call may be repeated.
 */
import { keepTexts } from "../directory/device-settings.ts";
import { readAccess } from "../directory/access.ts";
import {
  deviceKey,
  markDeviceDeleted,
  renameDevice,
  type DeviceRow,
} from "../directory/devices.ts";
import type { RequestFailure } from "../domain/failure.ts";
import { errorFields, logAlert, logWarning } from "../domain/log.ts";
import type { TextsKept } from "../domain/texts-kept.ts";
import { err, ok, type Result } from "../domain/result.ts";
import { askDevice } from "./ask-device.ts";
import {
  askForView,
  DEVICE_TIMEOUT_MS,
  mirroredAnswer,
  type Caller,
  type DeviceAnswer,
  type DeviceTools,
} from "./device-answer.ts";
import { tellDevices } from "./tell-devices.ts";

/** What is left out stays. */
export interface DeviceChange {
  name?: string;
  textsKept?: TextsKept;
}

export async function changeDevice(
  tools: DeviceTools,
  caller: Caller,
  waid: string,
  { name, textsKept }: DeviceChange,
): Promise<Result<DeviceAnswer, RequestFailure>> {
  const device = await deviceOf(tools, caller, waid);
  if (!device.ok) return device;
  const { deviceId, accountId } = device.value;
  if (name !== undefined) await renameDevice(tools.db, deviceId, name);
  if (textsKept !== undefined) {
    await keepTexts(tools.db, deviceId, textsKept);
    await tellDevices(tools, accountId);
  }
  const renamed = {
    ...device.value,
    ...(name === undefined ? {} : { name }),
    ...(textsKept === undefined ? {} : { textsKept }),
  };
  const view = await askForView(tools.devices, renamed, (devices, identity) =>
    devices.view(identity),
  );
  return view.ok ? view : ok(mirroredAnswer(renamed));
}

export async function deleteDevice(
  tools: DeviceTools,
  caller: Caller,
  waid: string,
): Promise<Result<null, RequestFailure>> {
  const device = await deviceOf(tools, caller, waid);
  if (!device.ok) return device;
  const identity = deviceKey(device.value);
  try {
    const closed = await askDevice(tools.devices, identity, DEVICE_TIMEOUT_MS, (devices) =>
      devices.close(identity),
    );
    if (!closed.ok) {
      logAlert("device refuses to close", { waid, reason: closed.error.reason });
      return err({ reason: "system_unavailable" });
    }
  } catch (error) {
    logWarning("device not reached", { waid, ...errorFields(error) });
    return err({ reason: "system_unavailable" });
  }
  await markDeviceDeleted(tools.db, identity.deviceId, tools.clock());
  return ok(null);
}

async function deviceOf(
  tools: DeviceTools,
  caller: Caller,
  waid: string,
): Promise<Result<DeviceRow, RequestFailure>> {
  const access = await readAccess(tools.db, { ...caller, waid }, tools.clock());
  if (!access.ok) return access;
  const { device } = access.value;
  return device === null ? err({ reason: "device_unknown" }) : ok(device);
}
