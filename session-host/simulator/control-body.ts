/** Parsing what a control call sends: bodies by schema, numbers in any usual spelling. */

import type { Context } from "hono";
import { z } from "zod";
import { normalizeNumber } from "./jid.ts";

export const numberSchema = z
  .string()
  .transform((text) => normalizeNumber(text) ?? "")
  .refine((number) => number !== "", "not a phone number");

export const accountSchema = numberSchema.nullable().default(null);

/** The parsed body, or the answer that says what is wrong with it. */
export async function readBody<T>(
  context: Context,
  schema: z.ZodType<T>,
): Promise<{ body: T } | { answer: Response }> {
  const text = await context.req.text();
  let value: unknown;
  try {
    value = text === "" ? {} : JSON.parse(text);
  } catch {
    // Not JSON is the caller's mistake and is said so.
    return { answer: context.json({ error: "body_is_not_json" }, 400) };
  }
  const parsed = schema.safeParse(value);
  if (parsed.success) return { body: parsed.data };
  return {
    answer: context.json(
      {
        error: "body_is_wrong",
        issues: parsed.error.issues.map(({ path, message }) => ({ path, message })),
      },
      400,
    ),
  };
}
