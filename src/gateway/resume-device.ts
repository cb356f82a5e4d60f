/** Tries a paused phone again: asked for by its account, or by the operator for anyone's. The queue was kept. */
import { readAccess } from "../directory/access.ts";
import { deviceByWaid, type DeviceRow } from "../directory/devices.ts";
import type { RequestFailure } from "../domain/failure.ts";
import { err, type Result } from "../domain/result.ts";
import { askForView, type Caller, type DeviceAnswer, type DeviceTools } from "./device-answer.ts";

export async function resumeDevice(
  tools: DeviceTools,
  caller: Caller,
  waid: string,
): Promise<Result<DeviceAnswer, RequestFailure>> {
  const access = await readAccess(tools.db, { ...caller, waid }, tools.clock());
  return access.ok ? resume(tools, access.value.device) : access;
}

export async function resumeAnyDevice(
  tools: DeviceTools,
  waid: string,
): Promise<Result<DeviceAnswer, RequestFailure>> {
  return resume(tools, await deviceByWaid(tools.db, waid));
}

async function resume(
  tools: DeviceTools,
  device: DeviceRow | null,
): Promise<Result<DeviceAnswer, RequestFailure>> {
  if (device === null) return err({ reason: "device_unknown" });
  return askForView(tools.devices, device, (devices, identity) => devices.resume(identity));
}
