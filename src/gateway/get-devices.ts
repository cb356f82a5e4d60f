/** All devices of the caller's account. Those being paired or paused are asked; the others stand as D1's mirror has them. */
import { readAccess } from "../directory/access.ts";
import { devicesOfAccount } from "../directory/devices.ts";
import type { DeviceStatus } from "../domain/device-status.ts";
import type { RequestFailure } from "../domain/failure.ts";
import { ok, type Result } from "../domain/result.ts";
import {
  askForView,
  mirroredAnswer,
  type Caller,
  type DeviceAnswer,
  type DeviceTools,
} from "./device-answer.ts";

/** Objects asked for one listing. */
const ASKED_MAX = 6;

export async function getDevices(
  tools: DeviceTools,
  caller: Caller,
): Promise<Result<DeviceAnswer[], RequestFailure>> {
  const access = await readAccess(tools.db, { ...caller, waid: null }, tools.clock());
  if (!access.ok) return access;
  const rows = await devicesOfAccount(tools.db, access.value.accountId);
  const withStatus = (status: DeviceStatus) => rows.filter((row) => row.status === status);
  const asked = new Set([...withStatus("pairing"), ...withStatus("paused")].slice(0, ASKED_MAX));
  const answers = rows.map(async (row) => {
    if (!asked.has(row)) return mirroredAnswer(row);
    const view = await askForView(tools.devices, row, (devices, identity) =>
      devices.view(identity),
    );
    return view.ok ? view.value : mirroredAnswer(row);
  });
  return ok(await Promise.all(answers));
}
