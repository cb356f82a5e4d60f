/**
 * The constants and shared shapes of the bridge between the edge and a session host. Imported by both sides;
 * holds no I/O. The frames are in device-frames.ts (one socket per device) and control-frames.ts (one per host).
 */
import { z } from "zod";

/** Answered by the runtime without waking the object; the n-th pong answers the n-th ping. */
export const PING = "ping";
export const PONG = "pong";

/** A session may act for this long after the SEND time of the newest ping that was answered. */
export const LEASE_MS = 5_000;
export const PING_INTERVAL_MS = 1_000;

/** A ticket lets one host and boot open one device socket once. */
export const TICKET_LIFE_MS = 15_000;

/** Larger frames close the socket. A first pairing commits ~815 rows, ~250 KB, in a few frames. */
export const FRAME_BYTES_MAX = 900_000;

/** A UTF-16 unit is at most three bytes in UTF-8, so nearly all frames need not be encoded to be judged. */
export function exceedsFrame(text: string): boolean {
  if (text.length * 3 <= FRAME_BYTES_MAX) return false;
  return (
    text.length > FRAME_BYTES_MAX || new TextEncoder().encode(text).byteLength > FRAME_BYTES_MAX
  );
}

/** Request headers of the two upgrades, `GET /bridge/control` and `GET /bridge/devices/{deviceId}`. */
export const HEADER_HOST_TOKEN = "authorization";
export const HEADER_BOOT = "x-kabar-boot";
export const HEADER_HOST_ID = "x-kabar-host";
export const HEADER_TICKET = "x-kabar-ticket";
export const HEADER_RESUME = "x-kabar-resume";

/** Rows of the session store. `creds` has the one id `creds`; the others are Baileys' key types. */
export const keyTypes = [
  "creds",
  "head",
  "pre-key",
  "session",
  "sender-key",
  "sender-key-memory",
  "app-state-sync-key",
  "app-state-sync-version",
  "lid-mapping",
  "device-list",
  "tctoken",
  "identity-key",
] as const;
export const keyType = z.enum(keyTypes);
export type KeyType = z.infer<typeof keyType>;

/** Types that are read one by one when needed; all others travel in the welcome frame. */
export const lazyKeyTypes: readonly KeyType[] = [
  "session",
  "pre-key",
  "sender-key",
  "lid-mapping",
  "device-list",
  "tctoken",
  "identity-key",
];

/** A sealed value in base64, or null to delete the row. The edge cannot read it. */
export const keyRow = z.object({
  type: keyType,
  id: z.string().min(1).max(200),
  value: z.string().max(400_000).nullable(),
});
export type KeyRow = z.infer<typeof keyRow>;

/** What the socket to WhatsApp is doing. */
export const sessionStates = ["connecting", "open", "closed"] as const;

/**
 * Why a session ended, and what it means for the device:
 * - `logged_out` the phone removed us or the account is gone: keys are archived, pairing is needed
 * - `banned` WhatsApp refuses the number
 * - `replaced` another client took our place
 * - `client_outdated` WhatsApp refuses this version of the client: all hosts stop retrying, alert
 * - `blocked` an answer that must be looked at by a person (402, 406, 411)
 * - `pairing_expired` the QR run is used up
 * - `lost` temporary: the host reconnects by itself at `retryAtMs`
 * - `store_error` keys that do not unseal or are not there: never treated as "no keys"; a person must look
 */
export const closeReasons = [
  "logged_out",
  "banned",
  "replaced",
  "client_outdated",
  "blocked",
  "pairing_expired",
  "lost",
  "store_error",
  "stopped",
] as const;
export const closeReason = z.enum(closeReasons);
export type CloseReason = z.infer<typeof closeReason>;

/** The digits of a phone number in international form, such as 6281234567890. */
export const phoneDigits = z.string().regex(/^[1-9][0-9]{6,14}$/);
/** An address of WhatsApp without its device part: `628…@s.whatsapp.net` or `…@lid`. */
export const jid = z.string().min(3).max(80);
export const whatsAppId = z.string().min(1).max(128);
