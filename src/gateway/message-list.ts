/** What a list of messages is asked by, and what it answers: of real messages and of test messages alike. */
import type { MessageStatus } from "../domain/message-status.ts";
import type { MessageAnswer } from "./get-message.ts";

export interface MessageSearch {
  waid: string | null;
  status: MessageStatus | null;
  /** International digits. */
  to: string | null;
  /** Accepted then or later, to the second. */
  sinceMs: number | null;
  /** Accepted before. */
  untilMs: number | null;
  /** Where the page before said to go on. */
  cursor: number | null;
  countMax: number;
}

export interface MessageList {
  messages: MessageAnswer[];
  nextCursor: number | null;
}
