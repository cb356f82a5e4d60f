/**
 * What the end of a session's connection means for its phone: one pure, exhaustive function. The host has said why
 * (session-host/disconnect.ts turns WhatsApp's codes into these reasons); this decides what becomes of phone, keys and
 * queue, and holds the circuit breaker. No I/O, no clock.
 */
import type { CloseReason } from "../bridge/wire.ts";
import type { PauseReason } from "../domain/pause-reason.ts";
import { unreachable } from "../domain/result.ts";

/** Closes by WhatsApp are counted over this time. */
export const CLOSES_WINDOW_MS = 3_600_000;

export interface CloseFacts {
  reason: CloseReason | null;
  isPaired: boolean;
  /** We asked the phone to let us go. */
  isUnlinking: boolean;
  /** The host tries again by itself. */
  willRetry: boolean;
  /** WhatsApp closed an open connection while bridge and lease were healthy. */
  isAgainst: boolean;
  /** Such closes within the last hour, this one included. */
  closesCount: number;
  /** So many pause the phone; 0: however many there are. */
  closesMax: number;
}

export type CloseVerdict =
  /** A late word about a phone that is not there. */
  | { kind: "nothing" }
  /** The host comes back by itself. Queue and keys stay. */
  | { kind: "wait" }
  /** Keys archived, no host. The queue stays, but that of a banned phone is rejected. */
  | { kind: "park"; status: "unpaired" | "logged_out" | "banned" }
  /** Nothing more is tried until somebody resumes it, or its host is mended. Queue and keys stay. */
  | { kind: "pause"; reason: PauseReason };

export function verdictOnClose(facts: CloseFacts): CloseVerdict {
  const { reason, isPaired, isUnlinking } = facts;
  if (isUnlinking) return { kind: "park", status: "unpaired" };
  switch (reason) {
    case "logged_out":
      return { kind: "park", status: isPaired ? "logged_out" : "unpaired" };
    case "banned":
      return { kind: "park", status: "banned" };
    case "pairing_expired":
      return isPaired ? { kind: "nothing" } : { kind: "park", status: "unpaired" };
    case "blocked":
    case "client_outdated":
    case "store_error":
      return isPaired ? { kind: "pause", reason } : { kind: "park", status: "unpaired" };
    case "replaced":
      if (!isPaired) return { kind: "nothing" };
      return facts.willRetry ? unlessUnstable(facts) : { kind: "pause", reason };
    case "lost":
    case "stopped":
    case null:
      return isPaired ? unlessUnstable(facts) : { kind: "nothing" };
    default:
      return unreachable(reason);
  }
}

/** The circuit breaker: a phone that WhatsApp closes again and again is left alone before it is banned. */
function unlessUnstable({ isAgainst, closesCount, closesMax }: CloseFacts): CloseVerdict {
  return isAgainst && closesMax > 0 && closesCount >= closesMax
    ? { kind: "pause", reason: "unstable" }
    : { kind: "wait" };
}

/** Whether a host goes on holding a phone that is paused for this: then it comes back once the host is mended. */
export function keepsHost(reason: PauseReason | null): boolean {
  switch (reason) {
    case "client_outdated":
    case "store_error":
    // Paused by a version that did not note why.
    case null:
      return true;
    case "blocked":
    case "replaced":
    case "unstable":
      return false;
    default:
      return unreachable(reason);
  }
}
