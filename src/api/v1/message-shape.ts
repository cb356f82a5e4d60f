/** A message as /v1 shows it, wherever it is shown. Renders only. */
import { messageReasons, messageStatuses } from "../../domain/message-status.ts";
import type { MessageAnswer } from "../../gateway/get-message.ts";
import { EXAMPLE_MESSAGE_ID, EXAMPLE_WAID, isoTime, isoTimeOrNull, timeSchema, z } from "./wire.ts";

export const statusSchema = z.enum(messageStatuses);
export const reasonSchema = z.enum(messageReasons).nullable();

export const messageSchema = z
  .object({
    id: z.int().openapi({ description: "The message's only id, below 10^14." }),
    device: z.string(),
    to: z.string().openapi({ description: "International digits." }),
    status: statusSchema,
    reason: reasonSchema,
    expected_at: timeSchema
      .nullable()
      .openapi({ description: "When the next step is expected at the latest; null once final." }),
    price: z.int().openapi({ description: "Whole rupiah." }),
    history: z.array(z.object({ status: statusSchema, reason: reasonSchema, at: timeSchema })),
  })
  .openapi("Message");

export function messageShape(message: MessageAnswer): z.infer<typeof messageSchema> {
  const { id, waid, to, status, reason, expectedAtMs, priceRupiah, history } = message;
  return {
    id,
    device: waid,
    to,
    status,
    reason,
    expected_at: isoTimeOrNull(expectedAtMs),
    price: priceRupiah,
    history: history.map((entry) => ({
      status: entry.status,
      reason: entry.reason,
      at: isoTime(entry.atMs),
    })),
  };
}

export const MESSAGE = {
  id: EXAMPLE_MESSAGE_ID,
  device: EXAMPLE_WAID,
  to: "6281310001001",
  status: "pending",
  reason: "queued",
  expected_at: "2026-11-23T02:00:00.000Z",
  price: 200,
  history: [{ status: "pending", reason: "queued", at: "2026-11-22T02:00:00.000Z" }],
};
