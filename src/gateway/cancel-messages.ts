/**
 * Withdrawing messages before they leave: one, or all that wait at a device or were sent with a key. Only the
 * device ends a message; asking again changes nothing. All is done in portions: the caller comes back with the
 * cursor until there is none.
 */
import type { DeviceIdentity, EnqueueVerdict } from "../device/interface.ts";
import { readAccess } from "../directory/access.ts";
import { deviceKey, devicesOfAccount } from "../directory/devices.ts";
import { keyOfAccount } from "../directory/managed-keys.ts";
import { idsOfKey, youngPendingIds } from "../directory/message-pages.ts";
import { messageOfAccount } from "../directory/messages.ts";
import type { RequestFailure } from "../domain/failure.ts";
import { firstMessageIdAt } from "../domain/id.ts";
import { errorFields, logWarning } from "../domain/log.ts";
import { err, ok, type Result } from "../domain/result.ts";
import { askDevice } from "./ask-device.ts";
import {
  DEVICE_TIMEOUT_MS,
  requestFailureOf,
  type Caller,
  type DeviceTools,
} from "./device-answer.ts";
import { storyOfMessage, type MessageAnswer } from "./get-message.ts";

/** Ids that one call to a device looks at. */
const PORTION_MAX = 500;
/** Portions of one request. */
const PORTIONS_MAX = 4;
/** A text is with its device by then, or the cron is at it. */
const YOUNG_MS = 600_000;

export async function cancelMessage(
  tools: DeviceTools,
  caller: Caller,
  id: number,
): Promise<Result<MessageAnswer, RequestFailure>> {
  const access = await readAccess(tools.db, { ...caller, waid: null }, tools.clock());
  if (!access.ok) return access;
  const { accountId, keyMode } = access.value;
  // What a test key sent waits nowhere.
  const indexed = keyMode === "test" ? null : await messageOfAccount(tools.db, accountId, id);
  if (indexed === null) return err({ reason: "message_unknown" });
  const verdicts = await withdraw(tools, indexed.device, [id]);
  if (!verdicts.ok) return verdicts;
  const [verdict] = verdicts.value;
  if (verdict?.status !== "cancel") return err({ reason: "message_not_waiting" });
  const story = await storyOfMessage(tools, indexed);
  // The device may have heard of the id only; the index learns of the end later.
  return ok({ ...story, status: "cancel", reason: verdict.reason, expectedAtMs: null });
}

export interface WaitingSearch {
  waid: string | null;
  keyId: number | null;
  cursor: WaitingCursor | null;
}

/** Where to go on: at this device, above this id. */
export interface WaitingCursor {
  waid: string;
  afterId: number;
}

export interface CancelledPortion {
  cancelledCount: number;
  /** Null when nothing is left. */
  nextCursor: WaitingCursor | null;
}

export async function cancelWaiting(
  tools: DeviceTools,
  caller: Caller,
  { waid, keyId, cursor }: WaitingSearch,
): Promise<Result<CancelledPortion, RequestFailure>> {
  const access = await readAccess(tools.db, { ...caller, waid }, tools.clock());
  if (!access.ok) return access;
  const { accountId, device } = access.value;
  if (keyId !== null && (await keyOfAccount(tools.db, { accountId, keyId })) === null) {
    return err({ reason: "api_key_unknown" });
  }
  const all = device === null ? await devicesOfAccount(tools.db, accountId) : [device];
  const devices = all
    .map(deviceKey)
    .filter((one) => cursor === null || one.waid >= cursor.waid)
    .toSorted((one, other) => (one.waid < other.waid ? -1 : 1));
  let cancelledCount = 0;
  let portions = 0;
  for (const one of devices) {
    let afterId: number | null = cursor?.waid === one.waid ? cursor.afterId : 0;
    while (afterId !== null) {
      if (portions === PORTIONS_MAX) {
        return ok({ cancelledCount, nextCursor: { waid: one.waid, afterId } });
      }
      portions += 1;
      const portion = await cancelPortion(tools, one, keyId, afterId);
      if (!portion.ok) return portion;
      cancelledCount += portion.value.cancelledCount;
      afterId = portion.value.nextAfterId;
    }
  }
  return ok({ cancelledCount, nextCursor: null });
}

async function cancelPortion(
  tools: DeviceTools,
  device: DeviceIdentity,
  keyId: number | null,
  afterId: number,
): Promise<Result<{ cancelledCount: number; nextAfterId: number | null }, RequestFailure>> {
  const waiting = await ask(tools, device, (devices) =>
    devices.waiting(device, afterId, PORTION_MAX),
  );
  if (!waiting.ok) return waiting;
  const onTheWay = afterId === 0 ? await notYetThere(tools, device) : ok([]);
  if (!onTheWay.ok) return onTheWay;
  const found = [...waiting.value, ...onTheWay.value];
  const ids =
    keyId === null || found.length === 0
      ? found
      : await idsOfKey(tools.db, device.accountId, found, keyId);
  const isLast = waiting.value.length < PORTION_MAX;
  const nextAfterId = isLast ? null : (waiting.value.at(-1) ?? null);
  if (ids.length === 0) return ok({ cancelledCount: 0, nextAfterId });
  const verdicts = await withdraw(tools, device, ids);
  if (!verdicts.ok) return verdicts;
  const cancelled = verdicts.value.filter(({ status }) => status === "cancel");
  return ok({ cancelledCount: cancelled.length, nextAfterId });
}

/** Accepted messages that the device has not been given yet: withdrawn all the same, it refuses them when they come. */
async function notYetThere(
  tools: DeviceTools,
  device: DeviceIdentity,
): Promise<Result<number[], RequestFailure>> {
  const fromId = firstMessageIdAt(tools.clock() - YOUNG_MS);
  const young = await youngPendingIds(tools.db, device, fromId, PORTION_MAX);
  if (young.length === 0) return ok([]);
  const known = await ask(tools, device, (devices) => devices.messages(device, young));
  if (!known.ok) return known;
  const there = new Set(known.value.map(({ id }) => id));
  return ok(young.filter((id) => !there.has(id)));
}

function withdraw(
  tools: DeviceTools,
  device: DeviceIdentity,
  ids: number[],
): Promise<Result<EnqueueVerdict[], RequestFailure>> {
  return ask(tools, device, (devices) => devices.cancel(device, ids, "customer"));
}

async function ask<T>(
  tools: DeviceTools,
  device: DeviceIdentity,
  question: Parameters<typeof askDevice<T>>[3],
): Promise<Result<T, RequestFailure>> {
  try {
    const answer = await askDevice(tools.devices, device, DEVICE_TIMEOUT_MS, question);
    return answer.ok ? answer : err(requestFailureOf(answer.error));
  } catch (error) {
    logWarning("device not reached", { waid: device.waid, ...errorFields(error) });
    return err({ reason: "system_unavailable" });
  }
}
