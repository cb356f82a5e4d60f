/**
 * What a receiver is sent for an event, and which events an endpoint wants. The old API's forms hold exactly its
 * documented keys, because PHP receivers turn every key into a variable; what else there is to say goes into headers.
 * Pure.
 */
import type { EventOf, WebhookEvent } from "../domain/event.ts";
import { unreachable } from "../domain/result.ts";
import type { EndpointFormat, EndpointSettings, EventSource } from "./interface.ts";

export interface RenderedBody {
  contentType: string;
  text: string;
  /** Beside the signature. */
  headers: Record<string, string>;
}

type StatusEvent = EventOf<
  | "message.pending"
  | "message.sent"
  | "message.received"
  | "message.read"
  | "message.cancel"
  | "message.reject"
>;

const FORM = "application/x-www-form-urlencoded";
const TEST_TEXT = "This is a test of your webhook.";

/** Whether the endpoint asked for this event of this source. */
export function isWanted(
  event: WebhookEvent,
  source: EventSource,
  settings: EndpointSettings,
): boolean {
  return mayWant(event.type, source, settings) && renderBody(event, settings.body) !== null;
}

/** The same for an event of which no more than its type is known; `unknown` may be anything. */
export function mayWant(
  type: string,
  source: EventSource,
  { body, devices }: EndpointSettings,
): boolean {
  if (source.kind === "device" && devices !== null && !devices.includes(source.deviceId)) {
    return false;
  }
  if (type === "unknown") return true;
  if (body.format === "json") return body.types?.some((wanted) => wanted === type) ?? true;
  const isText = type === "message.inbound";
  return type === "endpoint.test" || (body.kind === "inbox") === isText;
}

/** Null when this kind of receiver has no body for the event. */
export function renderBody(event: WebhookEvent, format: EndpointFormat): RenderedBody | null {
  if (format.format === "json") return jsonBody(event);
  switch (format.kind) {
    case "inbox":
      return inboxForm(event);
    case "tracking":
      return trackingForm(event);
    default:
      return unreachable(format.kind);
  }
}

function jsonBody({ type, atMs, data }: WebhookEvent): RenderedBody {
  const text = JSON.stringify({ type, timestamp: new Date(atMs).toISOString(), data });
  return { contentType: "application/json", text, headers: {} };
}

function inboxForm(event: WebhookEvent): RenderedBody | null {
  if (event.type === "endpoint.test") return form({ waid: "", message: TEST_TEXT, number: "" });
  if (event.type !== "message.inbound") return null;
  const { device, text, from } = event.data;
  if (text === null || text === "") return null;
  return form({ waid: device, message: text, number: from ?? "" });
}

function trackingForm(event: WebhookEvent): RenderedBody | null {
  if (event.type === "endpoint.test") {
    return form({ id: "0", waid: "", number: "", status: "pending" });
  }
  if (!isStatusEvent(event)) return null;
  const { id, device, to, status, reason, expected_at: expectedAt, test } = event.data;
  return form(
    { id, waid: device, number: to, status },
    {
      ...(reason === null ? {} : { "kabar-reason": reason }),
      ...(expectedAt === null ? {} : { "kabar-expected-at": expectedAt }),
      ...(test === true ? { "kabar-test": "true" } : {}),
    },
  );
}

function isStatusEvent(event: WebhookEvent): event is StatusEvent {
  return event.type.startsWith("message.") && event.type !== "message.inbound";
}

function form(fields: Record<string, string>, headers: Record<string, string> = {}): RenderedBody {
  return { contentType: FORM, text: new URLSearchParams(fields).toString(), headers };
}
