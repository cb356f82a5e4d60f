/** Why a phone is paused, in the words that customers and operators see. No I/O, no rules (device/session-close.ts). */
export const pauseReasons = [
  /** WhatsApp gave an answer that a person must look at (402, 406, 411). */
  "blocked",
  /** WhatsApp refuses the version of the client; comes back by itself with another. */
  "client_outdated",
  /** Another client keeps taking the phone's place. */
  "replaced",
  /** The session's keys could not be read; comes back by itself on a host that can. */
  "store_error",
  /** WhatsApp closed the connection too often within an hour. */
  "unstable",
] as const;
export type PauseReason = (typeof pauseReasons)[number];
