/**
 * The six status words a customer sees, the order they may rise in, and the machine reasons beside them.
 * No I/O, no clock. The states a message passes inside its device are another matter (device/evidence.ts).
 */

/** In rising order; `cancel` and `reject` are ends beside the ladder. */
export const messageStatuses = ["pending", "sent", "received", "read", "cancel", "reject"] as const;
export type MessageStatus = (typeof messageStatuses)[number];

/** Why a message stands where it stands; sent beside the status because six words cannot say it. */
export const messageReasons = [
  "scheduled",
  "queued",
  "handed_over",
  "device_offline",
  "waiting_for_acknowledgement",
  "cancelled_by_customer",
  "cancelled_by_operator",
  "expired",
  "device_repaired",
  "device_deleted",
  "abandoned",
  "stale",
  "queue_too_long",
  "not_on_whatsapp",
  "refused_by_whatsapp",
  "no_acknowledgement",
  "account_restricted",
  "banned",
  "opted_out",
  "suspended",
] as const;
export type MessageReason = (typeof messageReasons)[number];

const RANK: Record<MessageStatus, number> = {
  pending: 0,
  sent: 1,
  received: 2,
  read: 3,
  cancel: 9,
  reject: 9,
};

/** True when a message at `from` may be shown as `to`: statuses rise and ends are final. */
export function mayRise(from: MessageStatus, to: MessageStatus): boolean {
  if (from === "cancel" || from === "reject") return false;
  return RANK[to] > RANK[from];
}

export const messageCategories = ["otp", "notification", "reminder"] as const;
export type MessageCategory = (typeof messageCategories)[number];
