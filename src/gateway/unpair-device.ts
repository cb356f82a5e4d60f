/** Logs the phone's companion out. The queue stays for the next pairing of the same number. */
import { readAccess } from "../directory/access.ts";
import type { RequestFailure } from "../domain/failure.ts";
import { err, type Result } from "../domain/result.ts";
import { askForView, type Caller, type DeviceAnswer, type DeviceTools } from "./device-answer.ts";

export async function unpairDevice(
  tools: DeviceTools,
  caller: Caller,
  waid: string,
): Promise<Result<DeviceAnswer, RequestFailure>> {
  const access = await readAccess(tools.db, { ...caller, waid }, tools.clock());
  if (!access.ok) return access;
  const { device } = access.value;
  if (device === null) return err({ reason: "device_unknown" });
  return askForView(tools.devices, device, (devices, identity) => devices.unpair(identity));
}
