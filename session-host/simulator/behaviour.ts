/** How the people behind the phones behave: receipts, addressing, replies. Global settings with overrides per number. */

import { z } from "zod";

export const behaviourSchema = z.strictObject({
  /** Whether a phone tells the sender that a text arrived. */
  delivered: z.enum(["auto", "hold"]),
  deliveredDelayMs: z.int().min(0).max(600_000),
  read: z.enum(["auto", "hold"]),
  readDelayMs: z.int().min(0).max(600_000),
  /** The address a contact's receipts come from. */
  receiptsFrom: z.enum(["pn", "lid"]),
  /** The address a contact's texts come from; the other one is named beside it. */
  textsFrom: z.enum(["pn", "lid"]),
  /** Answers the first copy of every text with this one. */
  autoReply: z.string().min(1).max(4_096).nullable(),
  autoReplyDelayMs: z.int().min(0).max(600_000),
});

export type Behaviour = z.infer<typeof behaviourSchema>;

export const behaviourPatchSchema = behaviourSchema.partial();

export type BehaviourPatch = z.infer<typeof behaviourPatchSchema>;

export const DEFAULT_BEHAVIOUR: Behaviour = {
  delivered: "auto",
  deliveredDelayMs: 0,
  read: "auto",
  readDelayMs: 1_000,
  receiptsFrom: "pn",
  textsFrom: "lid",
  autoReply: null,
  autoReplyDelayMs: 500,
};

export function mergeBehaviour(base: Behaviour, patch: BehaviourPatch): Behaviour {
  const given = Object.fromEntries(
    Object.entries(patch).filter(([, value]) => value !== undefined),
  );
  return { ...base, ...given };
}
