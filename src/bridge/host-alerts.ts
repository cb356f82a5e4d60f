/**
 * What a session host tells the operator's sink by way of the Fleet: `POST /bridge/alerts` with the host token. Apart
 * from the control socket, so that a host that is not accepted there can still be heard. Counts and kinds, no texts.
 */
import { z } from "zod";
import { deviceId } from "./control-frames.ts";

export const HOST_ALERTS_PATH = "/bridge/alerts";
export const HOST_ALERTS_BYTES_MAX = 16_384;
export const HOST_ALERTS_MAX = 30;

/** What today's hosts raise; docs/operations.md has a row for each. The edge takes kinds it does not know as well. */
export const hostAlertKinds = [
  "unsealable",
  "unreadable",
  "creds_absent",
  "commit_refused",
  "commit_unanswered",
  "store_rolled_back",
  "blocked",
  "crashed",
] as const;
export type HostAlertKind = (typeof hostAlertKinds)[number];

export const hostAlerts = z.object({
  alerts: z
    .array(
      z.object({
        kind: z.string().regex(/^[a-z_]{1,40}$/),
        /** The newest device that it concerned, or null. */
        deviceId: deviceId.nullable(),
        count: z.number().int().min(1).max(1_000_000),
      }),
    )
    .min(1)
    .max(HOST_ALERTS_MAX),
});
export type HostAlerts = z.infer<typeof hostAlerts>;
