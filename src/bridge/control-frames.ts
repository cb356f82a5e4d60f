/**
 * Frames of a host's control socket to the Fleet, in both directions, as zod discriminated unions on `t`.
 *
 * Host -> fleet: hello, proof, report (every few seconds and after each change), client_refused, draining, goodbye
 * Fleet -> host: challenge, accepted, logins, assign, withdraw
 *
 * Placement is level-triggered: the host reports what it runs, the fleet answers with the difference. A lost
 * frame is repaired by the next report.
 */
import { z } from "zod";

const positive = z.number().int().positive();
const count = z.number().int().nonnegative();
export const deviceId = z.string().regex(/^[0-9a-f]{32}$/);

/** Reports come at least this often. */
export const REPORT_INTERVAL_MS = 5_000;

export const hostControlFrame = z.discriminatedUnion("t", [
  z.object({
    t: z.literal("hello"),
    protocol: positive,
    /** The host's own limit; the operator's cap holds if lower. */
    capacity: positive,
    sealKeyId: z.string().min(1).max(32),
    clientVersion: z.string().max(60),
  }),
  /** Ed25519 signature (base64) over `kabar seal proof v1|<boot>|<nonce>` with the key derived from the seal key. */
  z.object({ t: z.literal("proof"), signature: z.string().min(80).max(100) }),
  z.object({
    t: z.literal("report"),
    running: z.array(z.object({ deviceId, placementId: positive, epoch: count })).max(2000),
  }),
  /** WhatsApp refuses the client version of my hello (405). Since version 2. */
  z.object({ t: z.literal("client_refused") }),
  /** SIGTERM: place my devices elsewhere. */
  z.object({ t: z.literal("draining") }),
  z.object({ t: z.literal("goodbye") }),
]);
export type HostControlFrame = z.infer<typeof hostControlFrame>;

export const fleetFrame = z.discriminatedUnion("t", [
  z.object({ t: z.literal("challenge"), nonce: z.string().min(32).max(64) }),
  z.object({ t: z.literal("accepted"), hostId: z.string().min(1).max(64), protocol: positive }),
  /** This host's share of the logins of the whole fleet; holds until the next one. Since version 2. */
  z.object({
    t: z.literal("logins"),
    perSecond: z.number().positive(),
    atOnce: positive,
    /** WhatsApp refuses the client version of this host: no login at all. */
    stopped: z.boolean(),
  }),
  z.object({
    t: z.literal("assign"),
    deviceId,
    placementId: positive,
    /** Single use, for this host and boot, good for 15 s. Secret. */
    ticket: z.string().min(32).max(128),
  }),
  z.object({ t: z.literal("withdraw"), deviceId, placementId: positive }),
]);
export type FleetFrame = z.infer<typeof fleetFrame>;

/** What a host signs to prove that it holds the seal key. */
export function sealProofText(bootId: string, nonce: string): string {
  return `kabar seal proof v1|${bootId}|${nonce}`;
}
