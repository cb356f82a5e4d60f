/**
 * Giving accepted messages to their device. Success has been decided before: a device that cannot be reached now
 * is tried again after the answer, and then by the cron, from the sealed body in D1.
 */
import type { DeviceClient } from "../device/client.ts";
import type { DeviceIdentity, EnqueueVerdict, MessageToEnqueue } from "../device/interface.ts";
import { errorFields, logAlert, logWarning } from "../domain/log.ts";
import { askDevice } from "./ask-device.ts";
import { retryFor, type RetryTools } from "./retry.ts";

const ENQUEUE_TIMEOUT_MS = 2_000;
const ENQUEUE_AGAIN_TIMEOUT_MS = 5_000;
/** An OTP cannot wait for a cron. */
const KEEP_TRYING_MS = 30_000;

export interface HandTools extends RetryTools {
  devices: DeviceClient;
  later: (work: Promise<unknown>) => void;
}

/** The device's verdict of each message by id, or null when it could not be heard. */
export async function handToDevice(
  tools: HandTools,
  identity: DeviceIdentity,
  messages: MessageToEnqueue[],
): Promise<Map<number, EnqueueVerdict> | null> {
  if (messages.length === 0) return new Map();
  const verdicts = await tryToHand(tools.devices, identity, messages, ENQUEUE_TIMEOUT_MS);
  if (verdicts === null) {
    const again = async () =>
      (await tryToHand(tools.devices, identity, messages, ENQUEUE_AGAIN_TIMEOUT_MS)) !== null;
    tools.later(retryFor(KEEP_TRYING_MS, tools, again));
  }
  return verdicts;
}

/** One try; null when the device could not be reached or refuses to know its own account. */
export async function tryToHand(
  devices: DeviceClient,
  identity: DeviceIdentity,
  messages: MessageToEnqueue[],
  timeoutMs: number,
): Promise<Map<number, EnqueueVerdict> | null> {
  try {
    const answer = await askDevice(devices, identity, timeoutMs, (device) =>
      device.enqueue(identity, messages),
    );
    if (answer.ok) return new Map(answer.value.map((verdict) => [verdict.id, verdict]));
    logAlert("device refuses accepted messages", {
      waid: identity.waid,
      reason: answer.error.reason,
    });
  } catch (error) {
    logWarning("device not reached", { waid: identity.waid, ...errorFields(error) });
  }
  return null;
}
