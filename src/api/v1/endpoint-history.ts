/** /v1/endpoints/{id}/...: the last attempts and the dead letters of a webhook. */
import { ENDPOINT, endpointParams as params } from "./endpoint-shape.ts";
import {
  answer,
  createRoute,
  isoTime,
  isoTimeOrNull,
  refusals,
  refused,
  timeSchema,
  v1App,
  z,
} from "./wire.ts";

const UNKNOWN = { reason: "endpoint_unknown" } as const;
const EVENT_ID = "evt_K7M2QX_41";

const tags = ["webhooks"];
const cursorSchema = z
  .string()
  .regex(/^\d{1,15}$/)
  .openapi({ description: "next_cursor of the answer before." });
const nextSchema = z.string().nullable().openapi({ description: "null at the end." });

export const endpointHistory = v1App();

const attemptSchema = z
  .object({
    event: z.string(),
    type: z.string(),
    attempt: z.int().openapi({ description: "1 is the first." }),
    started_at: timeSchema,
    duration_ms: z.int().nullable(),
    outcome: z.enum([
      "running",
      "delivered",
      "refused",
      "timeout",
      "unreachable",
      "address_refused",
      "interrupted",
    ]),
    status: z.int().nullable(),
    answer: z.string().nullable().openapi({ description: "The first 4 KB of the answer." }),
    next_at: timeSchema.nullable(),
  })
  .openapi("Attempt");

const pageQuery = z.object({ cursor: cursorSchema.optional() });

endpointHistory.openapi(
  createRoute({
    method: "get",
    path: "/{id}/attempts",
    operationId: "listAttempts",
    summary: "The last attempts, newest first",
    tags,
    request: { params, query: pageQuery },
    responses: {
      200: answer(
        "A page",
        z.object({ attempts: z.array(attemptSchema), next_cursor: nextSchema }),
        {
          refused: {
            attempts: [
              {
                event: EVENT_ID,
                type: "message.sent",
                attempt: 1,
                started_at: ENDPOINT.created_at,
                duration_ms: 41,
                outcome: "refused",
                status: 500,
                answer: "database is down",
                next_at: "2026-11-22T02:00:05.000Z",
              },
            ],
            next_cursor: null,
          },
        },
      ),
      ...refusals("query", UNKNOWN),
    },
  }),
  async (c) => {
    const { id } = c.req.valid("param");
    const { cursor } = c.req.valid("query");
    const page = await c
      .get("services")
      .endpoints.attempts(c.get("caller"), id, numberOrNull(cursor));
    if (!page.ok) return refused(c, page.error);
    const attempts = page.value.items.map((item) => ({
      event: item.eventId,
      type: item.type,
      attempt: item.attempt,
      started_at: isoTime(item.startedMs),
      duration_ms: item.durationMs,
      outcome: item.outcome,
      status: item.status,
      answer: item.answer,
      next_at: isoTimeOrNull(item.nextMs),
    }));
    return c.json({ attempts, next_cursor: textOrNull(page.value.nextCursor) }, 200);
  },
);

const deadSchema = z
  .object({
    event: z.string(),
    type: z.string(),
    at: timeSchema,
    dead_at: timeSchema,
    reason: z.enum([
      "attempts_exhausted",
      "queue_full",
      "expired",
      "forgotten",
      "malformed",
      "unreadable",
    ]),
    attempts: z.int(),
    replayable: z.boolean().openapi({ description: "False when its data is gone." }),
  })
  .openapi("DeadLetter");

endpointHistory.openapi(
  createRoute({
    method: "get",
    path: "/{id}/dead-letters",
    operationId: "listDeadLetters",
    summary: "Events that were not delivered, newest first",
    tags,
    request: { params, query: pageQuery },
    responses: {
      200: answer(
        "A page",
        z.object({ dead_letters: z.array(deadSchema), next_cursor: nextSchema }),
        {
          one: {
            dead_letters: [
              {
                event: EVENT_ID,
                type: "message.sent",
                at: ENDPOINT.created_at,
                dead_at: "2026-11-25T06:00:00.000Z",
                reason: "attempts_exhausted",
                attempts: 10,
                replayable: true,
              },
            ],
            next_cursor: null,
          },
        },
      ),
      ...refusals("query", UNKNOWN),
    },
  }),
  async (c) => {
    const { id } = c.req.valid("param");
    const { cursor } = c.req.valid("query");
    const page = await c
      .get("services")
      .endpoints.deadLetters(c.get("caller"), id, numberOrNull(cursor));
    if (!page.ok) return refused(c, page.error);
    const letters = page.value.items.map((item) => ({
      event: item.eventId,
      type: item.type,
      at: isoTime(item.atMs),
      dead_at: isoTime(item.deadMs),
      reason: item.reason,
      attempts: item.attempts,
      replayable: item.replayable,
    }));
    return c.json({ dead_letters: letters, next_cursor: textOrNull(page.value.nextCursor) }, 200);
  },
);

function numberOrNull(text: string | undefined): number | null {
  return text === undefined ? null : Number(text);
}

function textOrNull(cursor: number | null): string | null {
  return cursor === null ? null : String(cursor);
}
