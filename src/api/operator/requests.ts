/** The bodies that the operator's API takes, checked. Says in a sentence which field is wrong. */
import { z } from "zod";
import { keyModes } from "../../domain/api-key.ts";
import { addressRange } from "../../domain/client-address.ts";
import { messageCategories } from "../../domain/message-status.ts";
import { TEXT_LENGTH_MAX, TEXT_LENGTH_MIN, textEncodings } from "../../domain/message-text.ts";
import { err, ok, type Result } from "../../domain/result.ts";
import { isPlainName } from "../../domain/plain-name.ts";
import { isCalendarDate, zones } from "../../domain/zone.ts";
import { boundedText } from "../body.ts";
import type { Problem } from "../problem.ts";

const BODY_BYTES_MAX = 65_536;
const RUPIAH_MAX = 1_000_000_000_000;

const name = z
  .string()
  .trim()
  .min(1)
  .max(100)
  .refine(isPlainName, "holds no control characters and none that turn the direction of writing");
const rupiah = z.number().int().max(RUPIAH_MAX);

export const newHost = z.object({ name, devices_max: z.number().int().min(1).max(10_000) });

export const newAccount = z.object({
  name,
  zone: z.enum(zones).default("Asia/Jakarta"),
  credit_limit: rupiah.min(0).default(0),
  text_length_max: z
    .number()
    .int()
    .min(TEXT_LENGTH_MIN)
    .max(TEXT_LENGTH_MAX)
    .default(TEXT_LENGTH_MAX),
});

export const accountChange = z
  .strictObject({
    texts_kept_days: z.number().int().min(1).max(365).optional(),
    low_balance: rupiah.min(0).nullable().optional(),
    email: z.email().max(254).nullable().optional(),
  })
  .refine((body) => Object.keys(body).length > 0, "names something to change");

export const acknowledgement = z.union([
  z.strictObject({ ids: z.array(z.number().int().min(1)).min(1).max(1_000) }),
  z.strictObject({ all: z.literal(true) }),
]);

/** A device that was forgotten; its account and its waid are known. */
export const forgottenDevice = z.strictObject({
  device_id: z.string().regex(/^[0-9a-f]{32}$/),
  name,
  plan: z.enum(["A", "B", "C"]),
});

export const releaseWish = z.strictObject({ force: z.boolean().default(false) });

export const newTopUp = z.object({
  amount: rupiah.min(1),
  reference: z.string().trim().min(1).max(100),
  expires_on: z.string().refine(isCalendarDate, "must be a date, yyyy-mm-dd").optional(),
});

export const newKey = z.object({
  name,
  mode: z.enum(keyModes).default("live"),
  any_address: z.boolean().default(false),
  addresses: z
    .array(
      z.string().refine((text) => addressRange(text) !== null, "must be an address or a range"),
    )
    .max(100)
    .default([]),
  encoding: z.enum(textEncodings).default("auto"),
  dedupe_window: z.boolean().default(true),
  default_category: z.enum(messageCategories).default("notification"),
});

export const newDevice = z.object({ name, plan: z.enum(["A", "B", "C"]) });

export async function parseBody<T>(
  request: Request,
  schema: z.ZodType<T>,
): Promise<Result<T, Problem>> {
  const body = await boundedText(request, BODY_BYTES_MAX);
  const parsed = schema.safeParse(jsonOf(body.ok ? body.value : ""));
  if (parsed.success) return ok(parsed.data);
  const [issue] = parsed.error.issues;
  const field = issue?.path.join(".") ?? "";
  const sentence = `${field === "" ? "The body" : field}: ${issue?.message ?? "is malformed"}`;
  return err({ status: 422, code: "body_malformed", sentence });
}

function jsonOf(body: string): unknown {
  try {
    return JSON.parse(body);
  } catch {
    // The schema refuses undefined, with a sentence.
    return undefined;
  }
}

/** A number in the path; 0, which nothing has, for what is none. */
export function pathNumber(text: string): number {
  return /^\d{1,15}$/.test(text) ? Number(text) : 0;
}

/** A page of the list of unknown keys. */
export const unknownKeysQuery = z.object({
  address: z
    .string()
    .refine((text) => addressRange(text) !== null, "must be an address or a range")
    .optional(),
  cursor: z
    .string()
    .regex(/^\d{1,15}-[0-9a-f]{0,32}$/)
    .optional(),
  limit: z.coerce.number().int().min(1).max(100).default(50),
});
