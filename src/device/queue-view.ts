/**
 * The waiting messages in the order in which they will leave, each with the time it is expected to. An estimate
 * from the pace alone, as far as the phone is connected; reads only.
 */
import type { DeviceState } from "./identity.ts";
import type { QueuedMessage, QueueView } from "./interface.ts";
import type { MessageRow } from "./message-row.ts";
import type { Outbox } from "./outbox.ts";
import type { Pace } from "./pace.ts";

export interface QueueParts {
  identity: { state: Pick<DeviceState, "status"> };
  outbox: Pick<Outbox, "inOrder" | "waitingCount">;
  pace: Pace;
}

export function viewQueue(parts: QueueParts, countMax: number, nowMs: number): QueueView {
  const { identity, outbox, pace } = parts;
  const isConnected = identity.state.status === "connected";
  const recipientsFreeMs = new Map<string, number>();
  let phoneFreeMs = pace.nextMs(nowMs);
  const messages = outbox.inOrder(nowMs, countMax).map((row) => {
    const { recipient } = row;
    const textLength = row.body?.length ?? 0;
    const recipientFreeMs = recipientsFreeMs.get(recipient) ?? pace.recipientFreeMs(recipient);
    const leavesMs = Math.ceil(Math.max(phoneFreeMs, row.nextMs, recipientFreeMs, nowMs));
    phoneFreeMs = Math.max(phoneFreeMs, row.nextMs) + pace.meanStepMs(textLength);
    recipientsFreeMs.set(recipient, leavesMs + pace.recipientStepMs(textLength));
    return queuedMessage(row, leavesMs, isConnected, nowMs);
  });
  return { waitingCount: outbox.waitingCount(), messages };
}

function queuedMessage(
  row: MessageRow,
  leavesMs: number,
  isConnected: boolean,
  nowMs: number,
): QueuedMessage {
  const { id, recipient: to, category, dueMs, expiresMs, nextMs } = row;
  const isLater = nextMs > nowMs;
  const waits = isConnected ? "queued" : "device_offline";
  const reason = row.reason === "account_restricted" ? row.reason : isLater ? "scheduled" : waits;
  const expectedAtMs = isConnected || isLater ? Math.min(leavesMs, expiresMs) : null;
  return { id, to, category, reason, dueMs, expiresMs, expectedAtMs };
}
