/** Starts pairing a phone, by QR or by a code typed on it. A run that is already on is answered, not doubled. */
import { readAccess } from "../directory/access.ts";
import type { RequestFailure } from "../domain/failure.ts";
import { err, type Result } from "../domain/result.ts";
import { askForView, type Caller, type DeviceAnswer, type DeviceTools } from "./device-answer.ts";

/** `phone`: international digits, to pair by code; null to pair by QR. */
export async function pairDevice(
  tools: DeviceTools,
  caller: Caller,
  waid: string,
  phone: string | null,
): Promise<Result<DeviceAnswer, RequestFailure>> {
  const access = await readAccess(tools.db, { ...caller, waid }, tools.clock());
  if (!access.ok) return access;
  const { device } = access.value;
  if (device === null) return err({ reason: "device_unknown" });
  return askForView(tools.devices, device, (devices, identity) => devices.pair(identity, phone));
}
