/**
 * What is left to spend: money of the account, messages of the device's package, and until when. Asked once in a
 * while only: the device keeps the window per key.
 */
import { readAccess } from "../directory/access.ts";
import { deviceKey } from "../directory/devices.ts";
import type { DeviceClient } from "../device/client.ts";
import type { Clock } from "../domain/clock.ts";
import { withDeadline } from "../domain/deadline.ts";
import type { RequestFailure } from "../domain/failure.ts";
import { errorFields, logAlert, logWarning } from "../domain/log.ts";
import { err, ok, type Result } from "../domain/result.ts";
import { DAY_MS, localDate } from "../domain/zone.ts";
import { askDevice } from "./ask-device.ts";

const READ_TIMEOUT_MS = 3_000;
const WINDOW_TIMEOUT_MS = 2_000;

export interface BalanceTools {
  db: D1Database;
  devices: DeviceClient;
  clock: Clock;
}

export interface BalanceRequest {
  keyHash: string;
  address: string | null;
  waid: string;
}

export interface BalanceView {
  /** What may still be spent; never negative. */
  spendableRupiah: number;
  /** Last valid days, `yyyy-mm-dd` in the account's zone; yesterday when there is none. */
  balanceExpiresOn: string;
  packageExpiresOn: string;
  waid: string;
  /** Null: unlimited. */
  messagesLeft: number | null;
}

export async function checkBalance(
  tools: BalanceTools,
  request: BalanceRequest,
): Promise<Result<BalanceView, RequestFailure>> {
  const nowMs = tools.clock();
  try {
    const access = await withDeadline(readAccess(tools.db, request, nowMs), READ_TIMEOUT_MS);
    if (!access.ok) return access;
    const { device, period, zone, keyId } = access.value;
    if (device === null) return err({ reason: "device_unknown" });
    const identity = deviceKey(device);
    const window = await askDevice(tools.devices, identity, WINDOW_TIMEOUT_MS, (devices) =>
      devices.checkBalanceWindow(identity, keyId),
    );
    if (!window.ok) {
      logAlert("device refuses a balance check", { reason: window.error.reason });
      return err({ reason: "system_unavailable" });
    }
    if (!window.value.allowed) {
      return err({ reason: "balance_check_too_soon", retryAfterMs: window.value.retryAfterMs });
    }
    const yesterday = localDate(nowMs - DAY_MS, zone);
    const inForce = period !== null && period.endsMs > nowMs;
    return ok({
      spendableRupiah: Math.max(0, access.value.spendableRupiah),
      balanceExpiresOn: access.value.balanceExpiresOn ?? yesterday,
      packageExpiresOn: period === null ? yesterday : localDate(period.endsMs - 1, zone),
      waid: device.waid,
      messagesLeft: inForce ? messagesLeft(period) : 0,
    });
  } catch (error) {
    logWarning("balance check failed", errorFields(error));
    return err({ reason: "system_unavailable" });
  }
}

function messagesLeft({ quota, used }: { quota: number | null; used: number }): number | null {
  return quota === null ? null : Math.max(0, quota - used);
}
