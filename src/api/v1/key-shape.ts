/** An API key as /v1 shows and takes it. Renders and reads only; the key itself is shown once. */
import { keyModes } from "../../domain/api-key.ts";
import { addressRange, rangeText, type AddressRange } from "../../domain/client-address.ts";
import { messageCategories } from "../../domain/message-status.ts";
import { textEncodings } from "../../domain/message-text.ts";
import type { KeyAnswer } from "../../gateway/manage-keys.ts";
import { nameSchema } from "./device-shape.ts";
import { isoTime, isoTimeOrNull, timeSchema, z } from "./wire.ts";

const ADDRESSES_MAX = 100;

export const keySchema = z
  .object({
    id: z.int(),
    name: z.string(),
    prefix: z.string().openapi({ description: "The first digits of the key." }),
    mode: z.enum(keyModes),
    revoked: z.boolean(),
    valid_until: timeSchema.nullable().openapi({ description: "null: until it is revoked" }),
    any_address: z.boolean(),
    addresses: z.array(z.string()).openapi({ description: "Canonical addresses and networks." }),
    encoding: z.enum(textEncodings).openapi({ description: "How the old API reads texts." }),
    duplicate_window: z.boolean().openapi({
      description: "Whether an equal message within 60 s is the same one.",
    }),
    default_category: z.enum(messageCategories),
    created_at: timeSchema,
    warning: z.string().nullable().openapi({
      description: "What you should know now, such as that you have just shut yourself out.",
    }),
  })
  .openapi("Key");

export const newKeySchema = keySchema
  .extend({ api_key: z.string().openapi({ description: "Shown here and never again." }) })
  .openapi("NewKey");

export function keyShape(key: KeyAnswer): z.infer<typeof keySchema> {
  return {
    id: key.id,
    name: key.name,
    prefix: key.prefix,
    mode: key.mode,
    revoked: key.revoked,
    valid_until: isoTimeOrNull(key.validUntilMs),
    any_address: key.anyAddress,
    addresses: key.addresses.map(rangeText),
    encoding: key.encoding,
    duplicate_window: key.dedupeWindow,
    default_category: key.defaultCategory,
    created_at: isoTime(key.createdMs),
    warning: key.warning,
  };
}

export const KEY = {
  id: 3,
  name: "Server",
  prefix: "9f86d0",
  mode: "live",
  revoked: false,
  valid_until: null,
  any_address: false,
  addresses: ["203.0.113.0/28", "2001:db8::/48"],
  encoding: "auto",
  duplicate_window: true,
  default_category: "notification",
  created_at: "2026-11-22T02:00:00.000Z",
  warning: null,
};

const addressesSchema = z
  .array(z.string().max(50))
  .max(ADDRESSES_MAX)
  .transform((list, context) => {
    const ranges: AddressRange[] = [];
    for (const [index, written] of list.entries()) {
      const range = addressRange(written);
      if (range !== null) ranges.push(range);
      else {
        const message = "is not an IPv4 or IPv6 address or network, such as 203.0.113.0/28";
        context.addIssue({ code: "custom", path: [index], message });
      }
    }
    return ranges;
  })
  .openapi({ type: "array", items: { type: "string" }, maxItems: ADDRESSES_MAX });

const settings = {
  encoding: z.enum(textEncodings),
  duplicate_window: z.boolean(),
  default_category: z.enum(messageCategories),
};

export const newKeyBody = z
  .strictObject({
    name: nameSchema,
    mode: z.enum(keyModes).default("live"),
    any_address: z.boolean().default(false),
    addresses: addressesSchema.default([]),
    encoding: settings.encoding.default("auto"),
    duplicate_window: settings.duplicate_window.default(true),
    default_category: settings.default_category.default("notification"),
  })
  .openapi("KeyRequest");

export const keyChangeBody = z
  .strictObject({
    name: nameSchema.optional(),
    encoding: settings.encoding.optional(),
    duplicate_window: settings.duplicate_window.optional(),
    default_category: settings.default_category.optional(),
  })
  .openapi("KeyChange");

export const addressesBody = z
  .strictObject({
    addresses: addressesSchema,
    any_address: z.boolean().optional().openapi({ description: "Missing: as it was." }),
  })
  .openapi("KeyAddresses");
