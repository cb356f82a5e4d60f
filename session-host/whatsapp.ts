/**
 * The port to WhatsApp: what the host needs of a client library, in our own words. Implemented once, in
 * baileys/; a session knows nothing beyond this file. No promise here says that a message arrived: proof comes
 * as acks and receipts.
 */
import type { Fact, notSentReasons } from "../src/bridge/device-frames.ts";
import type { KeyStore, MessageTag } from "./store.ts";

declare const credentialsBrand: unique symbol;
/** The account's secrets in the library's own shape. Never logged, never inspected here. */
export interface Credentials {
  readonly [credentialsBrand]: true;
}

export type NotSentReason = (typeof notSentReasons)[number];

export interface OutgoingText {
  to: string;
  text: string;
  waId: string;
  tag: MessageTag;
  /** Asked once, right before the first key is used; anything but "go" keeps every byte back. */
  verdict(): "go" | NotSentReason;
}

/** `unproven`: keys were committed for it, so nothing may be claimed. */
export type SendOutcome =
  | { kind: "written" }
  | { kind: "not_sent"; reason: NotSentReason }
  | { kind: "unproven" };

/** `unknown`: the question went unanswered; neither bill nor fail on it. */
export type NumberCheck =
  | { kind: "registered"; jid: string }
  | { kind: "not_registered" }
  | { kind: "unknown" };

export interface WhatsAppConnection {
  send(text: OutgoingText): Promise<SendOutcome>;
  checkNumber(phone: string): Promise<NumberCheck>;
  typing(jid: string, on: boolean): Promise<void>;
  /** Only after the first QR was offered. */
  requestPairingCode(phone: string): Promise<string>;
  /** Asks until when the account is restricted; the answer comes as a fact, or not at all. */
  askRestriction(): void;
  /** Logs the companion out; the close follows. */
  unlink(): Promise<void>;
  /** Ends the socket at once; no handler is called any more. */
  end(): void;
}

/** What the stanzas of a connection tell. */
export type StanzaFact = Extract<
  Fact,
  { kind: "ack" | "receipt" | "drained" | "restricted" | "unrestricted" }
>;

export interface Closed {
  code: number | null;
  /** The phone removed this companion, whatever the code says. */
  deviceRemoved: boolean;
}

export interface WhatsAppHandlers {
  onQr(qr: string): void;
  /** The scan was verified and the credentials are durable. */
  onPaired(account: { phone: string; lid: string | null; platform: string | null }): void;
  onOpen(): void;
  onClosed(closed: Closed): void;
  onFact(fact: StanzaFact): void;
}

/** Kept per device across reconnects. */
export interface DeviceMemory {
  readonly memory: "device";
}

export interface ConnectOptions {
  credentials: Credentials;
  store: KeyStore;
  memory: DeviceMemory;
  /** Lease and epoch; false keeps keys unused and ends the socket. */
  mayAct(): boolean;
  /** We may no longer act, noticed in the middle of something: end the socket NOW. */
  onForbidden(): void;
  /** The text of our message `waId` if it went to this chat, else null. */
  sentText(waId: string, chat: string, chatPhone: string | null): Promise<string | null>;
  handlers: WhatsAppHandlers;
}

export interface WhatsApp {
  /** Shown to the fleet. */
  readonly version: string;
  freshCredentials(): Credentials;
  /** Null: proved absent. Rejects when the store failed. */
  loadCredentials(store: KeyStore): Promise<Credentials | null>;
  /** The phone's digits, once paired. */
  phoneOf(credentials: Credentials): string | null;
  /** A scan or code was verified: what follows is a login of that companion. */
  isLinked(credentials: Credentials): boolean;
  newMemory(): DeviceMemory;
  connect(options: ConnectOptions): WhatsAppConnection;
}
