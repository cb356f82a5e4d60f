/**
 * An account's messages, newest first. D1 says which there are and whose; how one stands is known to its device
 * alone, so the devices of a page are asked, and what they say counts. One that cannot be reached stands as indexed.
 */
import type { MessageView } from "../device/interface.ts";
import { readAccess } from "../directory/access.ts";
import { messagesOfAccount } from "../directory/message-pages.ts";
import type { IndexedMessage } from "../directory/messages.ts";
import type { RequestFailure } from "../domain/failure.ts";
import { firstMessageIdAt } from "../domain/id.ts";
import { errorFields, logWarning } from "../domain/log.ts";
import type { MessageStatus } from "../domain/message-status.ts";
import { ok, type Result } from "../domain/result.ts";
import { askDevice } from "./ask-device.ts";
import { DEVICE_TIMEOUT_MS, type Caller, type DeviceTools } from "./device-answer.ts";
import { indexedStory } from "./get-message.ts";
import { listTestMessages } from "./list-test-messages.ts";
import type { MessageList, MessageSearch } from "./message-list.ts";

/** Devices asked for one page. */
const ASKED_MAX = 6;

export async function listMessages(
  tools: DeviceTools,
  caller: Caller,
  search: MessageSearch,
): Promise<Result<MessageList, RequestFailure>> {
  const { waid, status, to, sinceMs, untilMs, cursor, countMax } = search;
  const access = await readAccess(tools.db, { ...caller, waid }, tools.clock());
  if (!access.ok) return access;
  const { accountId, device, keyMode } = access.value;
  if (keyMode === "test") return ok(await listTestMessages(tools, accountId, search));
  const untilId = untilMs === null ? Number.MAX_SAFE_INTEGER : firstMessageIdAt(untilMs);
  const filter = {
    deviceId: device?.deviceId ?? null,
    to,
    statuses: status === null ? null : indexedAs(status),
    fromId: sinceMs === null ? 0 : firstMessageIdAt(sinceMs),
    beforeId: Math.min(untilId, cursor ?? untilId),
  };
  const page = await messagesOfAccount(tools.db, accountId, filter, countMax);
  const told = await storiesOf(tools, page.messages);
  const messages = page.messages.map((indexed) => ({
    ...(told.get(indexed.id) ?? indexedStory(indexed)),
    waid: indexed.device.waid,
  }));
  return ok({
    messages: status === null ? messages : messages.filter((one) => one.status === status),
    nextCursor: page.nextBeforeId,
  });
}

/** The index hears of a first proof or an end; how high a status has risen since is the device's to say. */
function indexedAs(status: MessageStatus): readonly MessageStatus[] {
  return status === "sent" || status === "received" || status === "read"
    ? ["sent", "received", "read"]
    : [status];
}

async function storiesOf(
  tools: DeviceTools,
  messages: IndexedMessage[],
): Promise<Map<number, MessageView>> {
  const byDevice = Map.groupBy(messages, ({ device }) => device.deviceId);
  const asked = [...byDevice.values()].slice(0, ASKED_MAX);
  const told = await Promise.all(asked.map((own) => storiesOfOne(tools, own)));
  return new Map(told.flat().map((view) => [view.id, view]));
}

async function storiesOfOne(
  tools: DeviceTools,
  messages: IndexedMessage[],
): Promise<MessageView[]> {
  const [first] = messages;
  if (first === undefined) return [];
  const { device } = first;
  const ids = messages.map(({ id }) => id);
  try {
    const views = await askDevice(tools.devices, device, DEVICE_TIMEOUT_MS, (devices) =>
      devices.messages(device, ids),
    );
    return views.ok ? views.value : [];
  } catch (error) {
    logWarning("device not reached", { waid: device.waid, ...errorFields(error) });
    return [];
  }
}
