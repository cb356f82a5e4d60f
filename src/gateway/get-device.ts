/** One device of the caller's account, as its object sees it now. */
import { readAccess } from "../directory/access.ts";
import type { RequestFailure } from "../domain/failure.ts";
import { err, ok, type Result } from "../domain/result.ts";
import {
  askForView,
  mirroredAnswer,
  type Caller,
  type DeviceAnswer,
  type DeviceTools,
} from "./device-answer.ts";

export async function getDevice(
  tools: DeviceTools,
  caller: Caller,
  waid: string,
): Promise<Result<DeviceAnswer, RequestFailure>> {
  const access = await readAccess(tools.db, { ...caller, waid }, tools.clock());
  if (!access.ok) return access;
  const { device } = access.value;
  if (device === null) return err({ reason: "device_unknown" });
  const view = await askForView(tools.devices, device, (devices, identity) =>
    devices.view(identity),
  );
  return view.ok ? view : ok(mirroredAnswer(device));
}
