/** /v1/endpoints/{id}/...: a test event, and events delivered again. */
import type { ReplayScope } from "../../gateway/use-endpoints.ts";
import { endpointParams as params } from "./endpoint-shape.ts";
import { answer, createRoute, instantSchema, json, refusals, refused, v1App, z } from "./wire.ts";

const UNKNOWN = { reason: "endpoint_unknown" } as const;
const EVENT_ID = "evt_K7M2QX_41";

const tags = ["webhooks"];
const cursorSchema = z
  .string()
  .regex(/^\d{1,15}$/)
  .openapi({ description: "next_cursor of the answer before." });
const nextSchema = z.string().nullable().openapi({ description: "null at the end." });

export const endpointDeliveries = v1App();

endpointDeliveries.openapi(
  createRoute({
    method: "post",
    path: "/{id}/test",
    operationId: "testEndpoint",
    summary: "Sends a test event",
    description:
      "A form endpoint gets a body of its kind: a status of message 0, or a text that says it is a test.",
    tags,
    request: { params },
    responses: {
      202: answer("It is queued", z.object({ event: z.string() }), {
        queued: { event: "evt_0f1e2d3c4b5a69788796a5b4c3d2e1f0" },
      }),
      ...refusals(false, UNKNOWN),
    },
  }),
  async (c) => {
    const { id } = c.req.valid("param");
    const tested = await c.get("services").endpoints.test(c.get("caller"), id);
    return tested.ok ? c.json({ event: tested.value.eventId }, 202) : refused(c, tested.error);
  },
);

const replayBody = z
  .strictObject({
    event: z.string().min(1).max(100).optional().openapi({ description: "One event's id." }),
    since: instantSchema.optional(),
    until: instantSchema.optional(),
    failed: z.literal(true).optional().openapi({ description: "The whole dead-letter list." }),
    cursor: cursorSchema.optional(),
  })
  .transform((body, context): { scope: ReplayScope; cursor: number | null } => {
    const cursor = body.cursor === undefined ? null : Number(body.cursor);
    const { event, since, until, failed } = body;
    const isRange = since !== undefined && until !== undefined;
    const named = [event !== undefined, isRange, failed === true].filter((is) => is).length;
    if (named === 1 && (since === undefined) === (until === undefined)) {
      if (event !== undefined) return { scope: { kind: "event", eventId: event }, cursor };
      if (isRange) return { scope: { kind: "range", fromMs: since, toMs: until }, cursor };
      return { scope: { kind: "failed" }, cursor };
    }
    context.addIssue({
      code: "custom",
      message: "names one of: event, since with until, failed",
    });
    return z.NEVER;
  })
  .openapi("ReplayRequest", { type: "object" });

const replayedSchema = z.object({ queued: z.int(), next_cursor: nextSchema }).openapi("Replayed");

endpointDeliveries.openapi(
  createRoute({
    method: "post",
    path: "/{id}/replay",
    operationId: "replayEvents",
    summary: "Delivers events again: one, those of a time, or all that failed",
    description:
      "Events are kept 7 days after their delivery. Ask again until next_cursor is null.",
    tags,
    request: {
      params,
      body: {
        required: true,
        content: json(replayBody, {
          one: { event: EVENT_ID },
          night: { since: "2026-11-21T22:00:00+07:00", until: "2026-11-22T06:00:00+07:00" },
          failed: { failed: true },
        }),
      },
    },
    responses: {
      200: answer("Queued again", replayedSchema, { done: { queued: 3, next_cursor: null } }),
      ...refusals(true, UNKNOWN),
    },
  }),
  async (c) => {
    const { id } = c.req.valid("param");
    const { scope, cursor } = c.req.valid("json");
    const replayed = await c.get("services").endpoints.replay(c.get("caller"), id, scope, cursor);
    if (!replayed.ok) return refused(c, replayed.error);
    const { queued, nextCursor } = replayed.value;
    return c.json({ queued, next_cursor: textOrNull(nextCursor) }, 200);
  },
);

function textOrNull(cursor: number | null): string | null {
  return cursor === null ? null : String(cursor);
}
