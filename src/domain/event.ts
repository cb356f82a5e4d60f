/**
 * What customers are told: the closed list of event types with the data of each, as it travels from a device or the
 * account to an endpoint object and, in `json` bodies, to the customer. Shapes and ordering keys only: no I/O, no
 * clock, no rules about who gets what.
 */
import { z } from "zod";
import { messageReasons } from "./message-status.ts";

const isoTime = z.iso.datetime();
const digits = z.string().regex(/^\d{1,20}$/);
const deviceName = z.string().regex(/^[A-Za-z0-9]{3,16}$/);

/** A status of a message that the customer sent. */
const messageData = z.object({
  /** The message's only id, in digits. */
  id: digits,
  device: deviceName,
  /** The recipient in international digits. */
  to: digits,
  status: z.enum(["pending", "sent", "received", "read", "cancel", "reject"]),
  reason: z.enum(messageReasons).nullable(),
  /** When the next step is expected at the latest; null once final. */
  expected_at: isoTime.nullable(),
  /** Of a message that a test key sent; live ones never have it. */
  test: z.literal(true).optional(),
});

/** What somebody wrote to the phone. */
const inboundData = z.object({
  /** Stable, and unique within the device. */
  id: z.string().min(1).max(100),
  device: deviceName,
  /** The sender in international digits; null while only the LID is known. */
  from: digits.nullable(),
  /** WhatsApp's private id of the sender, when it came with one. */
  lid: z.string().max(100).nullable(),
  /** The name the sender chose. */
  name: z.string().max(200).nullable(),
  /** `text`, or what it was: `image`, `audio`, `location`, ... whose content is not passed on. */
  kind: z.string().min(1).max(40),
  /** The text, or the caption of something else; null without one. */
  text: z.string().max(70_000).nullable(),
  sent_at: isoTime,
});

const deviceData = z.object({
  device: deviceName,
  /** The paired phone in international digits. */
  phone: digits.nullable(),
  /** A machine word for why, when there is more to say than the type does. */
  reason: z.string().max(60).nullable(),
  /** Until when it holds (a restriction); null when that is unknown or has no meaning. */
  until: isoTime.nullable(),
});

const balanceData = z.object({
  available: z.number().int(),
  threshold: z.number().int(),
});

/** Requests or messages that one rule refused within an hour; comes again when the count grows. */
const refusalsData = z.object({
  reason: z.string().max(60),
  /** The old API's code for it. */
  code: z.string().max(10),
  count: z.number().int().positive(),
  /** The hour it counts, by its beginning. */
  hour: isoTime,
});

const endpointData = z.object({
  /** The endpoint that is in trouble, not the one that is told. */
  endpoint: z.string().max(64),
  url: z.string().max(2_048),
  /** `warning`: it will be disabled; `disabled`: it is; `queue_full`: its oldest events went to the dead letters. */
  stage: z.enum(["warning", "disabled", "queue_full"]),
  reason: z.enum(["failing", "gone", "queue_full"]),
  /** Since when nothing but failures came; null when that is not why. */
  failing_since: isoTime.nullable(),
});

const testData = z.object({ endpoint: z.string().max(64) });

const common = {
  /** Stable over every hop and repeat; becomes the header webhook-id, where a dot has a meaning of its own. */
  id: z.string().regex(/^[A-Za-z0-9_-]{1,100}$/),
  /** When it happened. */
  atMs: z.number().int().nonnegative(),
  /** Events of one key reach a receiver in order; see the functions below. */
  orderKey: z.string().min(1).max(200),
};

function event<T extends string, D extends z.ZodType>(type: T, data: D) {
  return z.object({ ...common, type: z.literal(type), data });
}

export const webhookEvent = z.discriminatedUnion("type", [
  event("message.pending", messageData),
  event("message.sent", messageData),
  event("message.received", messageData),
  event("message.read", messageData),
  event("message.cancel", messageData),
  event("message.reject", messageData),
  event("message.inbound", inboundData),
  event("device.paired", deviceData),
  event("device.connected", deviceData),
  event("device.disconnected", deviceData),
  event("device.logged_out", deviceData),
  event("device.restricted", deviceData),
  event("device.paused", deviceData),
  event("account.balance_low", balanceData),
  event("account.refusals", refusalsData),
  event("endpoint.disabled", endpointData),
  event("endpoint.test", testData),
]);
export type WebhookEvent = z.infer<typeof webhookEvent>;
export type EventType = WebhookEvent["type"];
export type EventOf<T extends EventType> = Extract<WebhookEvent, { type: T }>;

/** Every type, in the order of documentation. */
export const eventTypes = webhookEvent.options.map(
  (option) => option.shape.type.value,
) as readonly EventType[];

/** Statuses of one message. */
export function messageOrderKey(waid: string, messageId: number | string): string {
  return `message:${waid}:${messageId}`;
}

/** Texts of one chat. `chat` must not change when a number becomes known later. */
export function chatOrderKey(waid: string, chat: string): string {
  return `chat:${waid}:${chat}`;
}

/** How a device stands. */
export function deviceOrderKey(waid: string): string {
  return `device:${waid}`;
}

/** Everything about an account and its endpoints. */
export const ACCOUNT_ORDER_KEY = "account";
