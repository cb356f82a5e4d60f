/**
 * Frames of a device's socket, in both directions, as zod discriminated unions on `t`.
 *
 * Host -> device
 *   hello            first frame; then the device answers `welcome`
 *   facts            what happened; numbered by the host, kept until `fact_ack`, sent again after a reconnect
 *   keys_get, keys_commit, message_get  requests, answered by id or seq
 *   goodbye          last frame, after the last key acknowledgement
 * Device -> host
 *   welcome          epoch, resume token, the rows needed at open
 *   command          numbered per epoch; sent again after a resume when the host has not received it
 *   fact_ack         all facts up to `n` are durable
 *   keys_rows | keys_error | keys_committed | keys_refused | message
 *   revoked          this epoch is over: stop using keys; facts are still accepted until the socket closes
 */
import { z } from "zod";
import {
  closeReason,
  jid,
  keyRow,
  keyType,
  phoneDigits,
  sessionStates,
  whatsAppId,
} from "./wire.ts";

const positive = z.number().int().positive();
const count = z.number().int().nonnegative();
const timeMs = z.number().int().nonnegative();

/** What happens together travels together: one frame, one transaction, one acknowledgement. */
export const FACTS_PER_FRAME_MAX = 100;

/** As many as a host may make in the time it counts them in. */
export const ATTEMPTS_TOLD_MAX = 10;

/** An incoming text (or the caption or kind of something else) as WhatsApp delivered it. */
export const inboundMessage = z.object({
  waId: whatsAppId,
  /** Where it was sent to: the contact, as WhatsApp addressed it. */
  chat: jid,
  /** The other address of the same contact, when the stanza named it. */
  chatAlt: jid.nullable(),
  /** True when our own account wrote it, on the phone or another companion. */
  fromMe: z.boolean(),
  pushName: z.string().max(200).nullable(),
  sentAtMs: timeMs,
  /** `text` carries text; every other kind carries at most a caption. */
  kind: z.string().min(1).max(40),
  text: z.string().max(70_000).nullable(),
  /** True when it came with the backlog that WhatsApp kept while we were away. */
  offline: z.boolean(),
});
export type InboundMessage = z.infer<typeof inboundMessage>;

/** Why a `send` command ended without bytes leaving. */
export const notSentReasons = [
  "too_late",
  "lease_over",
  "not_connected",
  "commit_refused",
  "number_check_failed",
  "encryption_failed",
  "session_ended",
  "busy",
] as const;

export const fact = z.discriminatedUnion("kind", [
  z.object({
    kind: z.literal("session"),
    state: z.enum(sessionStates),
    reason: closeReason.nullable(),
    /** WhatsApp's own code, for the log and the event. */
    code: z.number().int().nullable(),
    /** True when WhatsApp closed it while bridge and lease were healthy: only these count against a device. */
    byWhatsApp: z.boolean(),
    retryAtMs: timeMs.nullable(),
  }),
  z.object({ kind: z.literal("qr"), qr: z.string().min(1).max(1000), expiresAtMs: timeMs }),
  z.object({
    kind: z.literal("pairing_code"),
    code: z.string().min(4).max(16),
    expiresAtMs: timeMs,
  }),
  /** After the scan was verified. The creds that belong to it are already committed. */
  z.object({
    kind: z.literal("paired"),
    phone: phoneDigits,
    lid: z.string().max(80).nullable(),
    platform: z.string().max(60).nullable(),
  }),
  /** The offline backlog of this connection has been handed over. */
  z.object({ kind: z.literal("drained") }),
  /** A `send` command that ended without bytes leaving. One that left them ends by `ack` or `receipt`. */
  z.object({
    kind: z.literal("send_result"),
    messageId: z.number().int(),
    attempt: positive,
    outcome: z.discriminatedUnion("kind", [
      z.object({ kind: z.literal("not_registered") }),
      z.object({ kind: z.literal("not_sent"), reason: z.enum(notSentReasons) }),
    ]),
  }),
  /** WhatsApp's server took (error null) or refused (its code) a message of ours. */
  z.object({
    kind: z.literal("ack"),
    waId: whatsAppId,
    to: jid,
    error: z.number().int().nullable(),
  }),
  z.object({
    kind: z.literal("receipt"),
    receipt: z.enum(["delivered", "read", "played", "sender"]),
    waIds: z.array(whatsAppId).min(1).max(300),
    /** The chat the receipt names, LID or number. */
    chat: jid,
    /** The same contact's phone-number address when the host knows it for a LID. */
    chatPhone: jid.nullable(),
    atMs: timeMs,
  }),
  /** WhatsApp restricts the account from reaching new contacts. `untilMs` null: unknown. */
  z.object({ kind: z.literal("restricted"), untilMs: timeMs.nullable() }),
  /** WhatsApp says that it does not, or no longer. Since version 2. */
  z.object({ kind: z.literal("unrestricted") }),
]);
export type Fact = z.infer<typeof fact>;

export const hostFrame = z.discriminatedUnion("t", [
  z.object({
    t: z.literal("hello"),
    protocol: positive,
    /** The last command seq received under this epoch; 0 for none. */
    lastCommandSeq: count,
    /** The key the host seals with. */
    sealKeyId: z.string().min(1).max(32),
  }),
  /** Facts `first`, `first + 1`, … in the order they happened; each is read by itself, so that one cannot spoil the rest. */
  z.object({
    t: z.literal("facts"),
    first: positive,
    facts: z.array(z.unknown()).min(1).max(FACTS_PER_FRAME_MAX),
  }),
  z.object({
    t: z.literal("keys_get"),
    id: positive,
    keys: z
      .array(z.object({ type: keyType, ids: z.array(z.string().min(1).max(200)).max(1000) }))
      .max(16),
  }),
  z.object({
    t: z.literal("keys_commit"),
    /** Per epoch, from the welcome's `keysSeq` + 1; only last + 1 applies, older ones are acknowledged unapplied. */
    seq: positive,
    rows: z.array(keyRow).max(2000),
    /** The messages whose ciphertext waits for this commit: the fence of the wire. */
    forMessages: z.array(z.object({ messageId: z.number().int(), attempt: positive })).max(16),
    /** Texts decrypted with these rows, stored in the same transaction, before WhatsApp hears a receipt. */
    inbound: z.array(inboundMessage).max(64),
  }),
  z.object({
    t: z.literal("message_get"),
    id: positive,
    waId: whatsAppId,
    chat: jid,
    chatPhone: jid.nullable(),
  }),
  z.object({ t: z.literal("goodbye") }),
]);
export type HostFrame = z.infer<typeof hostFrame>;

/** What still names its question when the rest of the frame cannot be read: it is answered, never left open. */
export const answerableFrame = z.discriminatedUnion("t", [
  z.object({ t: z.literal("keys_commit"), seq: positive }),
  z.object({ t: z.literal("keys_get"), id: positive }),
  z.object({ t: z.literal("message_get"), id: positive }),
]);

export const command = z.discriminatedUnion("kind", [
  z.object({
    kind: z.literal("send"),
    /** Kabar's id; negative for texts of Kabar's own, which are not billed. */
    messageId: z.number().int(),
    attempt: positive,
    waId: whatsAppId,
    to: phoneDigits,
    text: z.string().min(1).max(8_000),
    /** From receipt of the command to just before encryption, typing included. */
    sendWithinMs: positive,
    /** How long the host shows "typing" first; 0 for none. */
    typingMs: count,
  }),
  z.object({
    kind: z.literal("pair"),
    /** `phone` null: by QR; else by a code to be typed on that phone. */
    phone: phoneDigits.nullable(),
  }),
  /** Ask WhatsApp until when the account is restricted; the answer is a fact, or nothing. Since version 2. */
  z.object({ kind: z.literal("ask_restriction") }),
  /** Log the companion out at WhatsApp, then end the session. */
  z.object({ kind: z.literal("unlink") }),
  /** End the session without logging out. */
  z.object({ kind: z.literal("stop"), reason: z.enum(["moved", "unpaired", "paused"]) }),
]);
export type Command = z.infer<typeof command>;

export const deviceFrame = z.discriminatedUnion("t", [
  z.object({
    t: z.literal("welcome"),
    protocol: positive,
    epoch: positive,
    /** Lets the same host and boot come back to this epoch without a ticket. Secret. */
    resumeToken: z.string().min(32).max(128),
    /** Which pairing the keys belong to; part of every seal. */
    generation: positive,
    /** `unpaired`: no keys exist and none may be assumed; wait for a `pair` command. */
    pairing: z.enum(["unpaired", "paired"]),
    /** The last key commit applied under this epoch. */
    keysSeq: count,
    /** The last fact number durable under this epoch. */
    factN: count,
    /** creds and every row that is not lazy. Empty for an unpaired device. */
    rows: z.array(keyRow),
    /** How long ago the phone's last connections to WhatsApp were tried, by whatever host. Since version 2. */
    attemptsAgoMs: z.array(count).max(ATTEMPTS_TOLD_MAX).optional(),
  }),
  z.object({ t: z.literal("command"), seq: positive, command }),
  z.object({ t: z.literal("fact_ack"), n: positive }),
  /** Rows found; an id that is missing here is proved absent. */
  z.object({ t: z.literal("keys_rows"), id: positive, rows: z.array(keyRow) }),
  /** The store could not be read: an error, never "absent". */
  z.object({ t: z.literal("keys_error"), id: positive }),
  z.object({ t: z.literal("keys_committed"), seq: positive }),
  z.object({
    t: z.literal("keys_refused"),
    seq: positive,
    reason: z.enum(["epoch_over", "gap", "pre_key_conflict", "unreadable"]),
  }),
  z.object({ t: z.literal("message"), id: positive, text: z.string().max(8_000).nullable() }),
  z.object({ t: z.literal("revoked"), reason: z.enum(["new_epoch", "unpaired", "shutdown"]) }),
]);
export type DeviceFrame = z.infer<typeof deviceFrame>;
