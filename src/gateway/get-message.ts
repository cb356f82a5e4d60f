/**
 * One message and its story. The device tells it; before the device has the message, or while it cannot be
 * reached, the index in D1 says what it knows.
 */
import type { MessageView } from "../device/interface.ts";
import { readAccess } from "../directory/access.ts";
import { messageOfAccount, type IndexedMessage } from "../directory/messages.ts";
import { testMessageOfAccount } from "../directory/test-messages.ts";
import type { RequestFailure } from "../domain/failure.ts";
import { errorFields, logAlert, logWarning } from "../domain/log.ts";
import { err, ok, type Result } from "../domain/result.ts";
import { askDevice } from "./ask-device.ts";
import { DEVICE_TIMEOUT_MS, type Caller, type DeviceTools } from "./device-answer.ts";
import { testStory } from "./test-story.ts";

export interface MessageAnswer extends MessageView {
  waid: string;
}

export async function getMessage(
  tools: DeviceTools,
  caller: Caller,
  id: number,
): Promise<Result<MessageAnswer, RequestFailure>> {
  const nowMs = tools.clock();
  const access = await readAccess(tools.db, { ...caller, waid: null }, nowMs);
  if (!access.ok) return access;
  if (access.value.keyMode === "test") {
    const tested = await testMessageOfAccount(tools.db, access.value.accountId, id);
    if (tested === null) return err({ reason: "message_unknown" });
    return ok({ ...testStory(tested, nowMs), waid: tested.waid });
  }
  const indexed = await messageOfAccount(tools.db, access.value.accountId, id);
  if (indexed === null) return err({ reason: "message_unknown" });
  return ok(await storyOfMessage(tools, indexed));
}

export async function storyOfMessage(
  tools: DeviceTools,
  indexed: IndexedMessage,
): Promise<MessageAnswer> {
  const told = await storyOf(tools, indexed);
  return { ...(told ?? indexedStory(indexed)), waid: indexed.device.waid };
}

async function storyOf(tools: DeviceTools, indexed: IndexedMessage): Promise<MessageView | null> {
  try {
    const view = await askDevice(tools.devices, indexed.device, DEVICE_TIMEOUT_MS, (devices) =>
      devices.message(indexed.device, indexed.id),
    );
    if (view.ok) return view.value;
    logAlert("device refuses to tell of a message", { reason: view.error.reason });
  } catch (error) {
    logWarning("device not reached", { waid: indexed.device.waid, ...errorFields(error) });
  }
  return null;
}

/** What D1 knows of it. */
export function indexedStory(indexed: IndexedMessage): MessageView {
  const { id, to, status, reason, priceRupiah, acceptedMs, dueMs, endedMs } = indexed;
  const accepted = {
    status: "pending",
    reason: dueMs > acceptedMs ? "scheduled" : "queued",
    atMs: acceptedMs,
  } as const;
  return {
    id,
    to,
    status,
    reason,
    expectedAtMs: status === "pending" ? dueMs : null,
    priceRupiah,
    history: endedMs === null ? [accepted] : [accepted, { status, reason, atMs: endedMs }],
  };
}
