/**
 * One question to a Device object, with a deadline. An object that has never been used is given its identity,
 * which the caller took from a D1 row whose account was checked, and asked again. Throws when it cannot be reached.
 */
import type { DeviceClient } from "../device/client.ts";
import type { DeviceIdentity, DeviceRefusal } from "../device/interface.ts";
import { withDeadline } from "../domain/deadline.ts";
import type { Result } from "../domain/result.ts";

export function askDevice<T>(
  devices: DeviceClient,
  identity: DeviceIdentity,
  timeoutMs: number,
  ask: (devices: DeviceClient) => Promise<Result<T, DeviceRefusal>>,
): Promise<Result<T, DeviceRefusal>> {
  const asked = async (): Promise<Result<T, DeviceRefusal>> => {
    const answer = await ask(devices);
    if (answer.ok || answer.error.reason !== "blank") return answer;
    const installed = await devices.install(identity);
    return installed.ok ? ask(devices) : installed;
  };
  return withDeadline(asked(), timeoutMs);
}
