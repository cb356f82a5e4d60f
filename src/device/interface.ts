/**
 * What may be asked of a Device object over RPC, and nothing more. Values only: an Error loses its class on the
 * way. Every call names the account that D1 tied to the device; the object refuses any other.
 */
import type { RepostObstacle } from "../billing/reposting.ts";
import type { DeviceStatus } from "../domain/device-status.ts";
import type { EventType, WebhookEvent } from "../domain/event.ts";
import type { MessageCategory, MessageReason, MessageStatus } from "../domain/message-status.ts";
import type { Result } from "../domain/result.ts";
import type { PauseReason } from "../domain/pause-reason.ts";
import type { TextsKept } from "../domain/texts-kept.ts";

export type { DeviceStatus } from "../domain/device-status.ts";
export type { TextsKept } from "../domain/texts-kept.ts";
export type { PauseReason } from "../domain/pause-reason.ts";

/** From a D1 row whose account was checked. `deviceId` names the object and is never reused. */
export interface DeviceIdentity {
  deviceId: string;
  accountId: number;
  waid: string;
}

/** A device that is closed, blank or another account's answers one of these and writes nothing. */
export type DeviceRefusal =
  | { reason: "blank" }
  | { reason: "foreign" }
  /** Deleted for good. What it was given before may still be asked after. */
  | { reason: "closed" }
  | { reason: "already_paired" }
  | { reason: "not_paired" }
  | { reason: "not_paused" };

export interface MessageToEnqueue {
  id: number;
  /** 128 random bits in hex, drawn for the request; tells this row from another with the same id. */
  nonce: string;
  /** International digits. */
  to: string;
  text: string;
  category: MessageCategory;
  /** Held for it in D1; frozen at acceptance. */
  priceRupiah: number;
  /** The package period whose quota it used. */
  periodId: number;
  acceptedMs: number;
  /** Never before this; equal to acceptedMs when sent at once. */
  dueMs: number;
  /** Not handed over after this. */
  expiresMs: number;
}

export interface EnqueueVerdict {
  id: number;
  status: MessageStatus;
  reason: MessageReason | null;
}

export interface HistoryEntry {
  status: MessageStatus;
  reason: MessageReason | null;
  atMs: number;
}

export interface MessageView {
  id: number;
  to: string;
  status: MessageStatus;
  reason: MessageReason | null;
  /** When the next step is expected at the latest; null once final. */
  expectedAtMs: number | null;
  priceRupiah: number;
  history: HistoryEntry[];
}

/** A message that waits for its hand-over. */
export interface QueuedMessage {
  id: number;
  to: string;
  category: MessageCategory;
  reason: MessageReason;
  dueMs: number;
  expiresMs: number;
  /** When it should leave; null while the phone is away, since nobody knows for how long. */
  expectedAtMs: number | null;
}

export interface QueueView {
  /** Of all, shown or not. */
  waitingCount: number;
  /** The next to leave first. */
  messages: QueuedMessage[];
}

export interface DeviceView {
  waid: string;
  status: DeviceStatus;
  /** Digits of the paired phone; null before the first pairing. */
  phone: string | null;
  /** A machine word for why it is paused; null while it is not. */
  pausedReason: PauseReason | null;
  /** WhatsApp lets this phone start no new chats until then; null while it does. */
  restrictedUntilMs: number | null;
  /** The running QR or code: a secret, for the owner's eyes, never cached or logged. */
  pairing: { qr: string | null; code: string | null; expiresAtMs: number } | null;
}

export type BalanceCheckVerdict = { allowed: true } | { allowed: false; retryAfterMs: number };

/** What the account wants of a device; D1 holds it, and raises the revision with every change. */
export interface DeviceSettings {
  revision: number;
  /** Whether events are kept for being asked for, beside those of the endpoints. */
  keepsEvents: boolean;
  /** Who is told; `types` null means everything. */
  endpoints: { endpointId: string; types: readonly EventType[] | null }[];
  textsKept: TextsKept;
  /** How long texts that came in are kept. */
  textsKeptMs: number;
}

/** Events in the device's own order; `n` is the cursor. */
export interface EventsPage {
  events: { n: number; event: WebhookEvent }[];
  /** Everything up to here is in this answer or older than what is kept. */
  upTo: number;
  kept: boolean;
}

/** What the operator wants of a device while the books are restored. */
export interface BooksWish {
  /** Raised after each restore: at a newer one the device tells the books all that it knows. Null: nothing to tell. */
  generation: number | null;
  /** Since when nothing is handed over and nothing new is taken; null: it may be. */
  heldSinceMs: number | null;
}

export interface BooksView {
  /** Messages that the books have yet to hear of again; null once they have heard of all. */
  left: number | null;
  /** Why the books cannot take the next of them yet. */
  obstacle: RepostObstacle | null;
}

/** A text that came in, or one that the customer typed on the phone. */
export interface InboundView {
  n: number;
  fromMe: boolean;
  /** The other side in international digits; null while only the LID is known. */
  phone: string | null;
  lid: string | null;
  name: string | null;
  kind: string;
  /** Null without one, and once it was forgotten. */
  text: string | null;
  sentMs: number;
  receivedMs: number;
}

export interface InboundPage {
  /** Newest first. */
  texts: InboundView[];
  /** The next page is what lies below it; null on the last. */
  nextBefore: number | null;
}

export interface DeviceRpc {
  /** Gives a blank object its identity; repeating it changes nothing. */
  install(identity: DeviceIdentity): Promise<Result<DeviceView, DeviceRefusal>>;
  /** Takes over accepted messages; idempotent by id and nonce; answers the stored verdict of each. */
  enqueue(
    identity: DeviceIdentity,
    messages: MessageToEnqueue[],
  ): Promise<Result<EnqueueVerdict[], DeviceRefusal>>;
  /**
   * Makes sure that the messages of a request, whose acceptance could not be proved, are never sent. Another request
   * may have drawn the same ids: what does not carry `nonce` is left alone. Without one (an older caller) the ids count.
   */
  abandon(
    identity: DeviceIdentity,
    ids: number[],
    nonce?: string,
  ): Promise<Result<null, DeviceRefusal>>;
  /** Withdraws messages not yet handed over; answers where each now stands. Unknown ids are answered cancel. */
  cancel(
    identity: DeviceIdentity,
    ids: number[],
    by: "customer" | "operator",
  ): Promise<Result<EnqueueVerdict[], DeviceRefusal>>;
  view(identity: DeviceIdentity): Promise<Result<DeviceView, DeviceRefusal>>;
  /** Starts a pairing run, or returns the running one. `phone` null: by QR, else by a code for that number. */
  pair(identity: DeviceIdentity, phone: string | null): Promise<Result<DeviceView, DeviceRefusal>>;
  /** Logs the companion out and forgets its keys after the archive time. */
  unpair(identity: DeviceIdentity): Promise<Result<DeviceView, DeviceRefusal>>;
  /** Tries a paused phone again. */
  resume(identity: DeviceIdentity): Promise<Result<DeviceView, DeviceRefusal>>;
  /** The message's whole story, or null when this device never had it. */
  message(identity: DeviceIdentity, id: number): Promise<Result<MessageView | null, DeviceRefusal>>;
  /** The stories of those it has, in no order. */
  messages(identity: DeviceIdentity, ids: number[]): Promise<Result<MessageView[], DeviceRefusal>>;
  /** The next waiting messages and when they should leave. */
  queueView(identity: DeviceIdentity, countMax: number): Promise<Result<QueueView, DeviceRefusal>>;
  /** Ids of waiting messages above `afterId`, in rising order. */
  waiting(
    identity: DeviceIdentity,
    afterId: number,
    countMax: number,
  ): Promise<Result<number[], DeviceRefusal>>;
  /** For ever: unpairs, withdraws all that waits, and takes nothing more. Repeating it changes nothing. */
  close(identity: DeviceIdentity): Promise<Result<null, DeviceRefusal>>;
  /** One success per key in 900 s, rolling; a refusal does not extend the wait. */
  checkBalanceWindow(
    identity: DeviceIdentity,
    keyId: number,
  ): Promise<Result<BalanceCheckVerdict, DeviceRefusal>>;
  /** Takes settings over; older ones than it has change nothing. Answers the revision it has now. */
  configure(
    identity: DeviceIdentity,
    settings: DeviceSettings,
  ): Promise<Result<{ revision: number }, DeviceRefusal>>;
  /** What happened after `afterN`, oldest first, for seven days. */
  events(
    identity: DeviceIdentity,
    afterN: number,
    countMax: number,
  ): Promise<Result<EventsPage, DeviceRefusal>>;
  /** Texts below `beforeN`, newest first; null: from the newest on. */
  inbound(
    identity: DeviceIdentity,
    beforeN: number | null,
    countMax: number,
  ): Promise<Result<InboundPage, DeviceRefusal>>;
  /** For the fleet: a single-use ticket for one placement; the epoch is minted once per placement id. */
  mintTicket(request: {
    placementId: number;
    hostId: string;
    bootId: string;
  }): Promise<Result<{ ticket: string; epoch: number }, DeviceRefusal>>;
  /** For the fleet: this host is not to be trusted with the phone any more. Repeating it changes nothing. */
  dismiss(hostId: string): Promise<Result<null, DeviceRefusal>>;
  /** For a restore of the books: takes the wish over, and answers how far it is. Repeating it changes nothing. */
  books(wish: BooksWish): Promise<Result<BooksView, DeviceRefusal>>;
  /** For a change of seal keys: stored session rows by the key that sealed them. */
  sealKeys(): Promise<Result<Record<string, number>, DeviceRefusal>>;
  /** For the watcher: re-arm the alarm and do what is due. Alarms can be lost. */
  poke(): Promise<Result<null, DeviceRefusal>>;
}
