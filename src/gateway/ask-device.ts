/**
 * One question to a Device object, with a deadline for each call of it. An object that has never been used is given its identity,
 * which the caller took from a D1 row whose account was checked, and asked again. Throws when it cannot be reached.
 */
import type { DeviceClient } from "../device/client.ts";
import type { DeviceIdentity, DeviceRefusal } from "../device/interface.ts";
import type { Result } from "../domain/result.ts";

export async function askDevice<T>(
  devices: DeviceClient,
  identity: DeviceIdentity,
  timeoutMs: number,
  ask: (devices: DeviceClient) => Promise<Result<T, DeviceRefusal>>,
): Promise<Result<T, DeviceRefusal>> {
  const device = devices.within(timeoutMs);
  const answer = await ask(device);
  if (answer.ok || answer.error.reason !== "blank") return answer;
  const installed = await device.install(identity);
  return installed.ok ? ask(device) : installed;
}
