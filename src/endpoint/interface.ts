/**
 * What may be asked of an Endpoint object over RPC, and nothing more: one object is one webhook of one customer. Values
 * only: an Error loses its class on the way. Every call names the account that D1 tied to the endpoint; the object
 * refuses any other, and a blank or closed one refuses everything.
 */
import type { EventType, WebhookEvent } from "../domain/event.ts";
import type { Result } from "../domain/result.ts";

/** From a D1 row whose account was checked. `endpointId` is 32 hex digits, names the object and is never reused. */
export interface EndpointIdentity {
  endpointId: string;
  accountId: number;
}

export type EndpointFormat =
  /** The old API's bodies with exactly its keys: `inbox` carries texts that came in, `tracking` statuses. */
  | { format: "form"; kind: "inbox" | "tracking" }
  /** `{type, timestamp, data}`; `types` null means all. */
  | { format: "json"; types: readonly EventType[] | null };

export interface EndpointSettings {
  url: string;
  body: EndpointFormat;
  /** Ids (32 hex) of the devices whose events it gets; null means all. Account events are not narrowed by it. */
  devices: readonly string[] | null;
  /** The customer ticked that this receiver may be reached without TLS. */
  allowHttp: boolean;
  /** The customer's own switch. While off, events wait. */
  enabled: boolean;
  /** How long texts and answers are kept here at most, from acceptance on; the account's retention. */
  retentionMs: number;
}

export type DisabledReason = "failing" | "gone";

export interface EndpointView {
  endpointId: string;
  settings: EndpointSettings;
  /** Why deliveries stopped although the customer's switch is on; saving `enabled: true` clears it. */
  disabled: { reason: DisabledReason; atMs: number } | null;
  /** Since when nothing but failures came; null while the last delivery succeeded. */
  failingSinceMs: number | null;
  /** Until when the former secret signs as well; null when only one does. */
  formerSecretUntilMs: number | null;
  waiting: number;
  dead: number;
  lastDeliveredMs: number | null;
}

/** The caller is wrong about the object: nothing was read or written. */
export type EndpointRefusal = { reason: "blank" } | { reason: "foreign" };

export type SettingsRefusal =
  | EndpointRefusal
  /** `sentence` tells the customer what is wrong with the address. */
  | { reason: "url_refused"; sentence: string };

/** Who numbers the events: a device, or the account (whatever is not about one device). */
export type EventSource = { kind: "device"; deviceId: string } | { kind: "account" };

/** Something whose text or message its source has forgotten: it can be named and no more. */
export interface ForgottenEvent {
  isForgotten: true;
  id: string;
  /** `unknown` for a whole range of them. */
  type: string;
  atMs: number;
}

export interface DeliveryBatch {
  source: EventSource;
  /**
   * At most EVENTS_PER_CALL_MAX. `sequence` starts at 1 and is contiguous per source and endpoint; the sender keeps
   * events until they are acknowledged.
   */
  events: readonly { sequence: number; event: WebhookEvent | ForgottenEvent }[];
}

export const EVENTS_PER_CALL_MAX = 500;
export const FORGOTTEN_PER_CALL_MAX = 1_000;

/** Everything up to here is durable at the endpoint (or not wanted by it) and may be forgotten by the sender. */
export interface DeliveryReceipt {
  highest: number;
}

export type DeliveryRefusal =
  | EndpointRefusal
  /** The batch starts beyond `highest + 1`, or skips a number: send again from there. Nothing of it was taken. */
  | { reason: "gap"; highest: number }
  | { reason: "too_many_events"; max: number };

export type ReplayScope =
  | { kind: "event"; eventId: string }
  /** Everything kept whose event time lies within, both ends included. */
  | { kind: "range"; fromMs: number; toMs: number }
  /** The whole dead-letter list. */
  | { kind: "failed" };

export interface ReplayReceipt {
  /** Put into the queue again by this call. */
  queued: number;
  /** To be passed on to go on; null when the scope is through. Stays the same when the queue has no room. */
  nextCursor: number | null;
}

export interface Page<T> {
  items: T[];
  /** Pass it on for the next page; null on the last. */
  nextCursor: number | null;
}

export type AttemptOutcome =
  | "running"
  | "delivered"
  /** Another status than 2xx. */
  | "refused"
  | "timeout"
  /** No answer: DNS, connection, TLS. */
  | "unreachable"
  /** Never left: the address is not allowed (any more). */
  | "address_refused"
  /** This object was restarted in the middle of it; it may have arrived. */
  | "interrupted";

export interface AttemptView {
  eventId: string;
  type: EventType;
  /** 1 is the first. */
  attempt: number;
  startedMs: number;
  durationMs: number | null;
  outcome: AttemptOutcome;
  /** The receiver's status; null without an answer. */
  status: number | null;
  /** The first 4 KB of the answer. */
  answer: string | null;
  /** When the next attempt is due; null when there is none. */
  nextMs: number | null;
}

export type DeadReason =
  /** Every attempt of the schedule failed. */
  | "attempts_exhausted"
  /** The queue was full: the oldest had to go. */
  | "queue_full"
  /** It waited for the whole retention time; its data is gone. */
  | "expired"
  /** Its source forgot it before it was delivered or handed over; its data is gone. */
  | "forgotten"
  /** It does not have the shape of an event; an alert was raised. */
  | "malformed"
  /** What was stored of it cannot be read, as after a change of secrets; an alert was raised. */
  | "unreadable";

export interface DeadLetterView {
  eventId: string;
  type: string;
  atMs: number;
  deadMs: number;
  reason: DeadReason;
  attempts: number;
  /** False when its data is gone. */
  replayable: boolean;
}

export interface EndpointRpc {
  /**
   * Gives a blank object its identity, settings and secret. The secret (`whsec_...`) is answered once: null when the
   * endpoint existed already, whose settings then stay as they are.
   */
  install(
    who: EndpointIdentity,
    settings: EndpointSettings,
  ): Promise<Result<{ view: EndpointView; secret: string | null }, SettingsRefusal>>;
  /** Replaces the settings. What waits goes to the new address; `enabled: true` lifts a disabling. */
  configure(
    who: EndpointIdentity,
    settings: EndpointSettings,
  ): Promise<Result<EndpointView, SettingsRefusal>>;
  /** A new secret, answered once; the former one signs beside it for 24 h. */
  rotateSecret(
    who: EndpointIdentity,
  ): Promise<Result<{ secret: string; formerSecretUntilMs: number }, EndpointRefusal>>;
  view(who: EndpointIdentity): Promise<Result<EndpointView, EndpointRefusal>>;
  /** Takes events over: idempotent by source and sequence. Types and devices not wanted are acknowledged and dropped. */
  deliver(
    who: EndpointIdentity,
    batch: DeliveryBatch,
  ): Promise<Result<DeliveryReceipt, DeliveryRefusal>>;
  /** Queues a test event; a form receiver gets a body of its kind with id 0 or an obvious text. */
  sendTest(who: EndpointIdentity): Promise<Result<{ eventId: string }, EndpointRefusal>>;
  /** Queues events again, a portion a call: go on with `nextCursor`. `cursor` is null at first. */
  replay(
    who: EndpointIdentity,
    scope: ReplayScope,
    cursor: number | null,
  ): Promise<Result<ReplayReceipt, EndpointRefusal>>;
  /** The last attempts, newest first. */
  attempts(
    who: EndpointIdentity,
    cursor: number | null,
  ): Promise<Result<Page<AttemptView>, EndpointRefusal>>;
  /** The dead-letter list, newest first. */
  deadLetters(
    who: EndpointIdentity,
    cursor: number | null,
  ): Promise<Result<Page<DeadLetterView>, EndpointRefusal>>;
  /** The source's retention ended for these events: their data and the answers to them go. At most FORGOTTEN_PER_CALL_MAX a call. */
  forget(
    who: EndpointIdentity,
    eventIds: readonly string[],
  ): Promise<Result<null, EndpointRefusal>>;
  /** Forgets everything, secrets included; repeating it changes nothing. */
  close(who: EndpointIdentity): Promise<Result<null, { reason: "foreign" }>>;
  /** For the watcher: re-arms the alarm and does what is due. Alarms can be lost. */
  poke(who: EndpointIdentity): Promise<Result<null, EndpointRefusal>>;
}
