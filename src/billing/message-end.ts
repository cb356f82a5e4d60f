/**
 * The shapes in which a Device object reports how messages ended, and what the books answer. Types only.
 */
import type { MessageReason, MessageStatus } from "../domain/message-status.ts";

/** What becomes of the money held for a message. Decided by the device alone. */
export type MoneyEnd = "settle" | "void" | "refund";

export interface MessageEnd {
  messageId: number;
  nonce: string;
  accountId: number;
  /** Null when only the status is news. */
  money: MoneyEnd | null;
  status: MessageStatus;
  reason: MessageReason | null;
  /** Rises with every change at the device; an older one never overwrites. */
  rev: number;
  atMs: number;
}

/** Read back in the batch that wrote it. */
export interface MessageEndReadback {
  messageId: number;
  /**
   * `done` the books hold exactly this end (now or from before);
   * `no_hold` no hold is there (yet): keep it dirty; `different` another end stands: alert, never loop.
   */
  money: "done" | "no_hold" | "different" | "none";
  /** The rev now in the index, or null when the row is not there. */
  rev: number | null;
}
