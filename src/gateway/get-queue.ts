/** What waits at a device and when it should leave, as the device itself sees it. */
import type { QueueView } from "../device/interface.ts";
import { readAccess } from "../directory/access.ts";
import { deviceKey } from "../directory/devices.ts";
import type { RequestFailure } from "../domain/failure.ts";
import { errorFields, logWarning } from "../domain/log.ts";
import { err, ok, type Result } from "../domain/result.ts";
import { askDevice } from "./ask-device.ts";
import {
  DEVICE_TIMEOUT_MS,
  requestFailureOf,
  type Caller,
  type DeviceTools,
} from "./device-answer.ts";

export async function getQueue(
  tools: DeviceTools,
  caller: Caller,
  waid: string,
  countMax: number,
): Promise<Result<QueueView, RequestFailure>> {
  const access = await readAccess(tools.db, { ...caller, waid }, tools.clock());
  if (!access.ok) return access;
  const { device } = access.value;
  if (device === null) return err({ reason: "device_unknown" });
  const identity = deviceKey(device);
  try {
    const queue = await askDevice(tools.devices, identity, DEVICE_TIMEOUT_MS, (devices) =>
      devices.queueView(identity, countMax),
    );
    return queue.ok ? ok(queue.value) : err(requestFailureOf(queue.error));
  } catch (error) {
    logWarning("device not reached", { waid, ...errorFields(error) });
    return err({ reason: "system_unavailable" });
  }
}
