/** GET /v1/devices/{waid}/queue: what waits, in the order in which it will leave. */
import { messageCategories } from "../../domain/message-status.ts";
import { reasonSchema } from "./message-shape.ts";
import {
  answer,
  createRoute,
  EXAMPLE_MESSAGE_ID,
  isoTime,
  isoTimeOrNull,
  limitParam,
  refusals,
  refused,
  timeSchema,
  v1App,
  waidParam,
  z,
} from "./wire.ts";

const SHOWN_MAX = 500;
const SHOWN_DEFAULT = 100;

const queuedSchema = z
  .object({
    id: z.int(),
    to: z.string(),
    category: z.enum(messageCategories),
    reason: reasonSchema,
    due_at: timeSchema,
    expected_at: timeSchema.nullable().openapi({
      description: "When it should leave, by the pace; null while the phone is away.",
    }),
    expires_at: timeSchema,
  })
  .openapi("QueuedMessage");

const queueSchema = z
  .object({
    waiting: z.int().openapi({ description: "Of all, shown or not." }),
    messages: z.array(queuedSchema),
  })
  .openapi("Queue");

const QUEUE = {
  waiting: 1,
  messages: [
    {
      id: EXAMPLE_MESSAGE_ID,
      to: "6281310001001",
      category: "notification",
      reason: "queued",
      due_at: "2026-11-22T02:00:00.000Z",
      expected_at: "2026-11-22T02:00:04.000Z",
      expires_at: "2026-11-23T02:00:00.000Z",
    },
  ],
};

export const queue = v1App();

queue.openapi(
  createRoute({
    method: "get",
    path: "/{waid}/queue",
    operationId: "getQueue",
    summary: "The messages that wait at a device, and when they should leave",
    tags: ["devices"],
    request: {
      params: z.object({ waid: waidParam }),
      query: z.object({ limit: limitParam(SHOWN_MAX, SHOWN_DEFAULT) }),
    },
    responses: {
      200: answer("The queue", queueSchema, { one: QUEUE }),
      ...refusals("query", { reason: "device_unknown" }),
    },
  }),
  async (c) => {
    const { waid } = c.req.valid("param");
    const { limit } = c.req.valid("query");
    const found = await c.get("services").getQueue(c.get("caller"), waid, limit ?? SHOWN_DEFAULT);
    if (!found.ok) return refused(c, found.error);
    const { waitingCount, messages } = found.value;
    const shown = messages.map(({ id, to, category, reason, dueMs, expectedAtMs, expiresMs }) => ({
      id,
      to,
      category,
      reason,
      due_at: isoTime(dueMs),
      expected_at: isoTimeOrNull(expectedAtMs),
      expires_at: isoTime(expiresMs),
    }));
    return c.json({ waiting: waitingCount, messages: shown }, 200);
  },
);
