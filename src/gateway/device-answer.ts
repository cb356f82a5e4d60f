/**
 * A device as its owner sees it: the row's name beside what the object says, and the mirror in D1 where the
 * object cannot be reached. Asking is all it does.
 */
import type { DeviceClient } from "../device/client.ts";
import type { DeviceIdentity, DeviceRefusal, DeviceView } from "../device/interface.ts";
import { deviceKey, type DeviceRow } from "../directory/devices.ts";
import type { KeyMode } from "../domain/api-key.ts";
import type { Clock } from "../domain/clock.ts";
import type { RequestFailure } from "../domain/failure.ts";
import { errorFields, logAlert, logWarning } from "../domain/log.ts";
import { err, ok, unreachable, type Result } from "../domain/result.ts";
import type { TextsKept } from "../domain/texts-kept.ts";
import { askDevice } from "./ask-device.ts";

export const DEVICE_TIMEOUT_MS = 5_000;

/** Who is asking: a key and where from. */
export interface Caller {
  keyHash: string;
  /** What the key looks like. */
  keyMode: KeyMode;
  address: string | null;
}

export interface DeviceTools {
  db: D1Database;
  devices: DeviceClient;
  clock: Clock;
}

export interface DeviceAnswer extends DeviceView {
  name: string;
  textsKept: TextsKept;
}

type DeviceQuestion = (
  devices: DeviceClient,
  identity: DeviceIdentity,
) => Promise<Result<DeviceView, DeviceRefusal>>;

/** Asks for a change, or for the truth: an object that cannot be reached is a failure. */
export async function askForView(
  devices: DeviceClient,
  row: DeviceRow,
  question: DeviceQuestion,
): Promise<Result<DeviceAnswer, RequestFailure>> {
  const identity = deviceKey(row);
  try {
    const view = await askDevice(devices, identity, DEVICE_TIMEOUT_MS, (device) =>
      question(device, identity),
    );
    return view.ok
      ? ok({ ...view.value, name: row.name, textsKept: row.textsKept })
      : err(requestFailureOf(view.error));
  } catch (error) {
    logWarning("device not reached", { waid: row.waid, ...errorFields(error) });
    return err({ reason: "system_unavailable" });
  }
}

/** What D1 last heard of it. */
export function mirroredAnswer({ waid, name, status, phone, textsKept }: DeviceRow): DeviceAnswer {
  const unknown = { pausedReason: null, restrictedUntilMs: null, pairing: null };
  return { waid, name, status, phone, textsKept, ...unknown };
}

export function requestFailureOf(refusal: DeviceRefusal): RequestFailure {
  const { reason } = refusal;
  switch (reason) {
    case "already_paired":
      return { reason: "device_already_paired" };
    case "not_paired":
      return { reason: "device_not_paired" };
    case "not_paused":
      return { reason: "device_not_paused" };
    case "closed":
      return { reason: "device_unknown" };
    case "blank":
    case "foreign":
      logAlert("device refuses its owner", { reason });
      return { reason: "system_unavailable" };
    default:
      return unreachable(reason);
  }
}
