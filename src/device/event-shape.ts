/**
 * A stored event in the form in which it travels: its stable id, its order key, and the data put together from the
 * message or text that it names. Pure; an event whose message or text is gone has no form.
 */
import type { EventType, WebhookEvent } from "../domain/event.ts";
import { chatOrderKey, deviceOrderKey, messageOrderKey } from "../domain/event.ts";
import type { MessageReason } from "../domain/message-status.ts";
import { phoneOf } from "./address.ts";

/** An event's row beside what it names. */
export interface StoredEvent {
  n: number;
  type: EventType;
  atMs: number;
  ref: number | null;
  reason: string | null;
  untilMs: number | null;
  phone: string | null;
  recipient: string | null;
  inboundN: number | null;
  lid: string | null;
  pushName: string | null;
  kind: string | null;
  body: string | null;
  sentMs: number | null;
  chat: string | null;
  sender: string | null;
  receivedMs: number | null;
  lidPhone: string | null;
}

export interface RenderedEvent {
  n: number;
  id: string;
  type: EventType;
  atMs: number;
  /** Null when its text or message was forgotten: it can be named and no more. */
  event: WebhookEvent | null;
  /** A text whose sender has no number yet, and when it came. */
  namelessSince: { sender: string; atMs: number } | null;
}

export function renderEvent(row: StoredEvent, waid: string): RenderedEvent {
  const from = row.type === "message.inbound" ? senderPhone(row) : null;
  const waits = row.type === "message.inbound" && from === null && row.receivedMs !== null;
  const common = { id: `evt_${waid}_${row.n}`, atMs: row.atMs };
  return {
    n: row.n,
    type: row.type,
    ...common,
    event: shapeOf(row, from, waid, common),
    namelessSince:
      waits && row.receivedMs !== null ? { sender: row.sender ?? "", atMs: row.receivedMs } : null,
  };
}

function senderPhone(row: Pick<StoredEvent, "chat" | "sender" | "lidPhone">): string | null {
  const named = row.sender !== null && /^\d{1,20}$/.test(row.sender) ? row.sender : null;
  return phoneOf(row.chat) ?? named ?? row.lidPhone;
}

function shapeOf(
  row: StoredEvent,
  from: string | null,
  waid: string,
  common: { id: string; atMs: number },
): WebhookEvent | null {
  switch (row.type) {
    case "message.pending":
    case "message.sent":
    case "message.received":
    case "message.read":
    case "message.cancel":
    case "message.reject":
      return row.recipient === null || row.ref === null
        ? null
        : {
            ...common,
            type: row.type,
            orderKey: messageOrderKey(waid, row.ref),
            data: {
              id: String(row.ref),
              device: waid,
              to: row.recipient,
              status: statusOf(row.type),
              reason: row.reason as MessageReason | null,
              expected_at: isoOrNull(row.untilMs),
            },
          };
    case "message.inbound":
      return inboundShape(row, from, waid, common);
    case "device.paired":
    case "device.connected":
    case "device.disconnected":
    case "device.logged_out":
    case "device.restricted":
    case "device.paused":
      return {
        ...common,
        type: row.type,
        orderKey: deviceOrderKey(waid),
        data: {
          device: waid,
          phone: row.phone,
          reason: row.reason,
          until: isoOrNull(row.untilMs),
        },
      };
    case "account.balance_low":
    case "account.refusals":
    case "endpoint.disabled":
    case "endpoint.test":
      return null;
    default:
      return row.type satisfies never;
  }
}

function inboundShape(
  row: StoredEvent,
  from: string | null,
  waid: string,
  common: { id: string; atMs: number },
): WebhookEvent | null {
  const { inboundN, kind, sentMs, sender } = row;
  if (inboundN === null || kind === null || sentMs === null || sender === null) return null;
  // A text that was forgotten in the meantime.
  if (kind === "text" && row.body === null) return null;
  return {
    ...common,
    type: "message.inbound",
    // A contact's LID is always the same; the number may become known later.
    orderKey: chatOrderKey(waid, row.lid ?? sender),
    data: {
      id: inboundId(waid, inboundN),
      device: waid,
      from,
      lid: row.lid,
      name: row.pushName,
      kind,
      text: row.body,
      sent_at: new Date(sentMs).toISOString(),
    },
  };
}

/** The customer's name for a text that came in. */
export function inboundId(waid: string, n: number): string {
  return `in_${waid}_${n}`;
}

type StatusType = Extract<EventType, `message.${string}`>;

function statusOf(type: Exclude<StatusType, "message.inbound">) {
  switch (type) {
    case "message.pending":
      return "pending";
    case "message.sent":
      return "sent";
    case "message.received":
      return "received";
    case "message.read":
      return "read";
    case "message.cancel":
      return "cancel";
    case "message.reject":
      return "reject";
    default:
      return type satisfies never;
  }
}

function isoOrNull(ms: number | null): string | null {
  return ms === null ? null : new Date(ms).toISOString();
}
