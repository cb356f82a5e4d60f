/**
 * The load's own record of what it asked for and what it was answered. Nothing in it comes from the product but the
 * answers to its own requests: it is what phones, books and webhooks are judged by.
 */

/** What is known to be wrong with a text, so that it must be refused or rejected. */
export type Flaw = "none" | "number" | "length" | "stranger" | "request";

export interface SentText {
  account: number;
  to: string;
  text: string;
  flaw: Flaw;
  /** Null: at once. */
  dueMs: number | null;
  /** Every code heard for it, in order. */
  codes: number[];
  /** The different ids of answers that said 10. */
  ids: number[];
  /** Requests with it whose answer never came. */
  lost: number;
  /** `asked`: the answer to the cancel was lost. */
  cancel: "none" | "asked" | "done" | "late" | "unknown";
}

/** Written by a contact to an account. */
export interface WrittenText {
  account: number;
  from: string;
  text: string;
}

export const ACCEPTED = 10;
export const SYSTEM_ERROR = 90;

export class LoadRecord {
  readonly sent: SentText[] = [];
  readonly written: WrittenText[] = [];

  accepted(): SentText[] {
    return this.sent.filter((one) => one.ids.length > 0);
  }

  /** Never accepted as far as the client heard, and no answer is missing. */
  refused(): SentText[] {
    return this.sent.filter((one) => one.ids.length === 0 && one.lost === 0);
  }

  /** Never accepted as far as the client heard, but an answer is missing. */
  unanswered(): SentText[] {
    return this.sent.filter((one) => one.ids.length === 0 && one.lost > 0);
  }
}
