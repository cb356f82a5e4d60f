/**
 * What a closed WhatsApp connection means: one pure, exhaustive function from what was seen to the reason that is
 * reported and to whether and how to come back. Knows no sockets and no time.
 */
import type { CloseReason } from "../src/bridge/wire.ts";
import { unreachable } from "../src/domain/result.ts";

/** Who closed it, as the session knows. */
export type Closer =
  /** WhatsApp, or the network between us and it. */
  | { by: "whatsapp"; code: number | null; deviceRemoved: boolean }
  /** Neither QR nor open nor close in time: a refused upgrade looks like this. */
  | { by: "watchdog" }
  /** We may no longer act: lease over or the bridge lost. WhatsApp keeps what arrives meanwhile. */
  | { by: "lease" }
  | { by: "bridge" }
  | { by: "store" }
  | { by: "stop" };

export interface Reaction {
  reason: CloseReason;
  /**
   * `once`: a single try; being replaced again means that somebody else is at it. `when_allowed`: as soon as lease,
   * bridge and the fleet's orders let it.
   */
  reconnect: "at_once" | "backoff" | "once" | "when_allowed" | "never";
  /** WhatsApp closed it; whether it counts against the phone is for the device to say. */
  byWhatsApp: boolean;
}

/** An unfinished pairing is not continued: its secrets belong to this one attempt. */
const PAIRING_OVER: Reaction = {
  reason: "pairing_expired",
  reconnect: "never",
  byWhatsApp: false,
};

/** `pairing`: no phone is linked yet, and an attempt was running. */
export function reactionTo(closer: Closer, pairing: boolean): Reaction {
  switch (closer.by) {
    case "whatsapp":
      if (closer.deviceRemoved)
        return { reason: "logged_out", reconnect: "never", byWhatsApp: true };
      return reactionToCode(closer.code, pairing);
    case "watchdog":
      return pairing ? PAIRING_OVER : { reason: "lost", reconnect: "backoff", byWhatsApp: false };
    case "lease":
    case "bridge":
      return { reason: "lost", reconnect: "when_allowed", byWhatsApp: false };
    case "store":
      return { reason: "store_error", reconnect: "never", byWhatsApp: false };
    case "stop":
      return { reason: "stopped", reconnect: "never", byWhatsApp: false };
    default:
      return unreachable(closer);
  }
}

function reactionToCode(code: number | null, pairing: boolean): Reaction {
  switch (code) {
    case 515:
      // Normal after pairing: the server wants a login with the new credentials.
      return { reason: "lost", reconnect: "at_once", byWhatsApp: false };
    case 401:
    case 419:
      return { reason: "logged_out", reconnect: "never", byWhatsApp: true };
    case 403:
      return { reason: "banned", reconnect: "never", byWhatsApp: true };
    case 440:
      return pairing ? PAIRING_OVER : { reason: "replaced", reconnect: "once", byWhatsApp: true };
    case 405:
      // The host lets nobody log in from here on: it is the version that is refused, not this phone.
      return {
        reason: "client_outdated",
        reconnect: pairing ? "never" : "when_allowed",
        byWhatsApp: true,
      };
    case 402:
    case 406:
    case 411:
      return { reason: "blocked", reconnect: "never", byWhatsApp: true };
    default:
      // 408, 428, 500, 503, unknown codes and none at all: temporary until proved otherwise.
      return pairing ? PAIRING_OVER : { reason: "lost", reconnect: "backoff", byWhatsApp: true };
  }
}
