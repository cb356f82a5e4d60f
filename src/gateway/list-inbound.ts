/** Texts that came in at a device, and those typed on its phone, as the device itself keeps them. */
import type { InboundPage } from "../device/interface.ts";
import { readAccess } from "../directory/access.ts";
import { deviceKey } from "../directory/devices.ts";
import type { RequestFailure } from "../domain/failure.ts";
import { errorFields, logWarning } from "../domain/log.ts";
import { err, ok, type Result } from "../domain/result.ts";
export type { InboundView } from "../device/interface.ts";
import { askDevice } from "./ask-device.ts";
import {
  DEVICE_TIMEOUT_MS,
  requestFailureOf,
  type Caller,
  type DeviceTools,
} from "./device-answer.ts";

export async function listInbound(
  tools: DeviceTools,
  caller: Caller,
  waid: string,
  before: number | null,
  countMax: number,
): Promise<Result<InboundPage, RequestFailure>> {
  const access = await readAccess(tools.db, { ...caller, waid }, tools.clock());
  if (!access.ok) return access;
  const { device } = access.value;
  if (device === null) return err({ reason: "device_unknown" });
  const identity = deviceKey(device);
  try {
    const page = await askDevice(tools.devices, identity, DEVICE_TIMEOUT_MS, (devices) =>
      devices.inbound(identity, before, countMax),
    );
    return page.ok ? ok(page.value) : err(requestFailureOf(page.error));
  } catch (error) {
    logWarning("device not reached", { waid, ...errorFields(error) });
    return err({ reason: "system_unavailable" });
  }
}
