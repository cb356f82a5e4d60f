/**
 * What each piece of evidence makes of a message: the whole table of states, in one pure and exhaustive function.
 * (facts of the message, event, now) -> changes. No I/O, no clock, no SQL. It refuses to let a status fall, to
 * end a message twice and to charge for one that is not proved to have left.
 */
import type { MessageReason, MessageStatus } from "../domain/message-status.ts";
import { unreachable } from "../domain/result.ts";

/** `handing`: in a host's hands, no key commit yet. `maybe_sent`: its key commit is recorded, bytes may be out. */
export const messageStates = [
  "queued",
  "handing",
  "maybe_sent",
  "sent",
  "received",
  "read",
  "cancel",
  "reject",
] as const;
export type MessageState = (typeof messageStates)[number];

/** `free`: a text of Kabar's own; no money is tied to it. */
export const moneyStates = ["held", "settled", "voided", "refunded", "free"] as const;
export type MoneyState = (typeof moneyStates)[number];

export const ATTEMPTS_MAX = 2;
export const RETRY_AFTER_MS = 60_000;
export const NO_ACKNOWLEDGEMENT_AFTER_MS = 24 * 3_600_000;
export const NO_ACKNOWLEDGEMENT_LATEST_MS = 48 * 3_600_000;

/** WhatsApp's code for an account that may not write to this contact. */
export const CODE_RESTRICTED = 463;

export interface MessageFacts {
  state: MessageState;
  reason: MessageReason | null;
  money: MoneyState;
  /** Hand-overs that count: those committed, and the one in a host's hands. */
  attempts: number;
  /** The last attempt whose key commit is recorded. */
  committedAttempt: number;
  /** An error answered the last attempt: only time or proof may end it. */
  attemptsClosed: boolean;
  firstHandoverMs: number | null;
  lastHandoverMs: number | null;
  expiresMs: number;
  /** The pairing it is pinned to. */
  generation: number;
}

/** What is known of the phone's connection when time is judged. */
export interface LinkFacts {
  generation: number;
  /** When the last connection's offline backlog was through, or null. */
  drainedMs: number | null;
}

export type WithdrawnReason =
  | "cancelled_by_customer"
  | "cancelled_by_operator"
  | "abandoned"
  | "device_repaired"
  | "device_deleted"
  | "stale"
  | "queue_too_long"
  | "account_restricted";

export type EvidenceEvent =
  | { kind: "withdrawn"; reason: WithdrawnReason }
  | { kind: "barred"; reason: "opted_out" | "suspended" | "banned" }
  | { kind: "handed_over"; link: LinkFacts }
  | { kind: "not_sent"; attempt: number }
  | { kind: "epoch_closed" }
  | { kind: "not_registered"; attempt: number }
  | { kind: "committed"; attempt: number }
  | { kind: "acknowledged" }
  | { kind: "refused"; code: number }
  | { kind: "receipt"; proof: "sender" | "delivered" | "read" }
  | { kind: "clock"; link: LinkFacts }
  | { kind: "enqueued_again" };

export interface Changes {
  state?: MessageState;
  reason?: MessageReason | null;
  money?: MoneyState;
  moneyDirty?: boolean;
  statusDirty?: boolean;
  attempts?: number;
  committedAttempt?: number;
  attemptsClosed?: boolean;
}

/** Counted, because it should be rare or never. */
export type Note = "late_proof" | "late_error" | "second_error" | "unexpected";

export interface Outcome {
  /** Null when nothing changes. */
  changes: Changes | null;
  note: Note | null;
}

const NOTHING: Outcome = { changes: null, note: null };
const UNEXPECTED: Outcome = { changes: null, note: "unexpected" };

/** The customer's word for a state. */
export function statusOf(state: MessageState): MessageStatus {
  return state === "queued" || state === "handing" || state === "maybe_sent" ? "pending" : state;
}

export function isEnded(state: MessageState): boolean {
  return statusOf(state) !== "pending";
}

/** True when the wire may be tried once more under the same WhatsApp id. */
export function mayTryAgain(facts: MessageFacts, link: LinkFacts, nowMs: number): boolean {
  return (
    facts.state === "maybe_sent" &&
    !facts.attemptsClosed &&
    facts.attempts === facts.committedAttempt &&
    facts.attempts < ATTEMPTS_MAX &&
    facts.generation === link.generation &&
    facts.lastHandoverMs !== null &&
    nowMs >= facts.lastHandoverMs + RETRY_AFTER_MS &&
    link.drainedMs !== null &&
    link.drainedMs > facts.lastHandoverMs &&
    nowMs < facts.expiresMs
  );
}

export function judge(facts: MessageFacts, event: EvidenceEvent, nowMs: number): Outcome {
  switch (event.kind) {
    case "withdrawn":
      return facts.state === "queued" ? end(facts, "cancel", event.reason) : NOTHING;
    case "barred":
      return barred(facts, event.reason);
    case "handed_over":
      return handedOver(facts, event.link, nowMs);
    case "not_sent":
      return event.attempt === facts.attempts ? takenBack(facts) : NOTHING;
    case "epoch_closed":
      return takenBack(facts);
    case "not_registered":
      return notRegistered(facts, event.attempt);
    case "committed":
      return committed(facts, event.attempt);
    case "acknowledged":
      return proved(facts, "sent");
    case "refused":
      return refused(facts, event.code);
    case "receipt":
      return proved(facts, PROOF_STATE[event.proof]);
    case "clock":
      return timePassed(facts, event.link, nowMs);
    case "enqueued_again":
      return isEnded(facts.state) && facts.money !== "free"
        ? { changes: { moneyDirty: true, statusDirty: true }, note: null }
        : NOTHING;
    default:
      return unreachable(event);
  }
}

type ProvedState = "sent" | "received" | "read";
const PROOF_STATE: Record<"sender" | "delivered" | "read", ProvedState> = {
  sender: "sent",
  delivered: "received",
  read: "read",
};
const HEIGHT: Record<ProvedState, number> = { sent: 1, received: 2, read: 3 };

/** Ends a message that left nothing behind: the hold is given back. */
function end(facts: MessageFacts, state: "cancel" | "reject", reason: MessageReason): Outcome {
  if (facts.money === "free") return { changes: { state, reason }, note: null };
  return {
    changes: { state, reason, money: "voided", moneyDirty: true, statusDirty: true },
    note: null,
  };
}

/** Without a key commit nothing can have left, so a hand-over in progress may still be rejected. */
function barred(facts: MessageFacts, reason: "opted_out" | "suspended" | "banned"): Outcome {
  return facts.state === "queued" || facts.state === "handing"
    ? end(facts, "reject", reason)
    : NOTHING;
}

function handedOver(facts: MessageFacts, link: LinkFacts, nowMs: number): Outcome {
  if (facts.state === "queued" && facts.generation === link.generation && nowMs < facts.expiresMs) {
    return { changes: { state: "handing", reason: null, attempts: 1 }, note: null };
  }
  if (mayTryAgain(facts, link, nowMs)) {
    return { changes: { attempts: facts.attempts + 1 }, note: null };
  }
  return NOTHING;
}

/** The attempt in the host's hands is proved never to have reached the wire. */
function takenBack(facts: MessageFacts): Outcome {
  if (facts.state === "handing") {
    return { changes: { state: "queued", reason: null, attempts: 0 }, note: null };
  }
  if (facts.state === "maybe_sent" && facts.attempts > facts.committedAttempt) {
    return { changes: { attempts: facts.committedAttempt }, note: null };
  }
  return NOTHING;
}

function notRegistered(facts: MessageFacts, attempt: number): Outcome {
  if (facts.attempts !== attempt) return NOTHING;
  if (facts.state === "handing") return end(facts, "reject", "not_on_whatsapp");
  return takenBack(facts);
}

/** The only way to the wire. Anything but the attempt in hand is refused by the caller. */
function committed(facts: MessageFacts, attempt: number): Outcome {
  if (attempt !== facts.attempts || attempt !== facts.committedAttempt + 1) return UNEXPECTED;
  switch (facts.state) {
    case "handing":
      return { changes: { state: "maybe_sent", committedAttempt: attempt }, note: null };
    case "maybe_sent":
    // The proof of the first attempt came while the second was in the host's hands: a second copy under the same
    // id is harmless, while a refusal would cost the phone its connection.
    case "sent":
    case "received":
    case "read":
      return { changes: { committedAttempt: attempt }, note: null };
    case "queued":
    case "cancel":
    case "reject":
      return UNEXPECTED;
    default:
      return unreachable(facts.state);
  }
}

function proved(facts: MessageFacts, to: ProvedState): Outcome {
  switch (facts.state) {
    case "queued":
    case "handing":
      return UNEXPECTED;
    case "maybe_sent":
      return facts.money === "free"
        ? { changes: { state: to, reason: null }, note: null }
        : {
            changes: {
              state: to,
              reason: null,
              money: "settled",
              moneyDirty: true,
              statusDirty: true,
            },
            note: null,
          };
    case "sent":
    case "received":
    case "read":
      return HEIGHT[to] > HEIGHT[facts.state]
        ? { changes: { state: to, reason: null }, note: null }
        : NOTHING;
    case "cancel":
    case "reject":
      return { changes: null, note: "late_proof" };
    default:
      return unreachable(facts.state);
  }
}

/** An error names the message, not the attempt: only where one copy may have left is it known which was refused. */
function isOnlyCopy(facts: MessageFacts): boolean {
  return facts.committedAttempt === 1;
}

function refused(facts: MessageFacts, code: number): Outcome {
  const reason = code === CODE_RESTRICTED ? "account_restricted" : "refused_by_whatsapp";
  switch (facts.state) {
    case "queued":
    case "handing":
      return UNEXPECTED;
    case "maybe_sent":
      // With two copies out the other one could still arrive, so the hold stays until time decides.
      if (!isOnlyCopy(facts)) return { changes: { attemptsClosed: true }, note: "second_error" };
      return end(facts, "reject", reason);
    case "sent":
      // It does not disprove what WhatsApp said of the other copy.
      if (!isOnlyCopy(facts)) return { changes: null, note: "late_error" };
      return facts.money === "free"
        ? { changes: { state: "reject", reason }, note: null }
        : {
            changes: {
              state: "reject",
              reason,
              money: "refunded",
              moneyDirty: true,
              statusDirty: true,
            },
            note: null,
          };
    case "received":
    case "read":
      return { changes: null, note: "late_error" };
    case "cancel":
    case "reject":
      return NOTHING;
    default:
      return unreachable(facts.state);
  }
}

function timePassed(facts: MessageFacts, link: LinkFacts, nowMs: number): Outcome {
  if (facts.state === "queued") {
    return nowMs >= facts.expiresMs ? end(facts, "cancel", "expired") : NOTHING;
  }
  if (facts.state !== "maybe_sent" || facts.firstHandoverMs === null) return NOTHING;
  const waitedMs = nowMs - facts.firstHandoverMs;
  if (waitedMs < NO_ACKNOWLEDGEMENT_AFTER_MS) return NOTHING;
  const drainedSince =
    link.drainedMs !== null && link.drainedMs > (facts.lastHandoverMs ?? facts.firstHandoverMs);
  return drainedSince || waitedMs >= NO_ACKNOWLEDGEMENT_LATEST_MS
    ? end(facts, "reject", "no_acknowledgement")
    : NOTHING;
}
