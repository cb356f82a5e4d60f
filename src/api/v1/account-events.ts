/** /v1/account-events: what an account should hear without having asked. */
import { refusalSentence } from "../../domain/refusal-sentences.ts";
import { limit, ruleSchema } from "./requests.ts";
import { answer, createRoute, isoTime, refusals, refused, timeSchema, v1App, z } from "./wire.ts";

const eventSchema = z
  .object({
    id: z.string().openapi({ description: "Pass the last one as `after`." }),
    type: z.string().openapi({ description: "account.refusals: what the old endpoints refused." }),
    at: timeSchema,
    hour: timeSchema.openapi({
      description: "What is counted in one event. It comes again, under a new id, when it grows.",
    }),
    data: z.record(z.string(), z.unknown()),
    rule: ruleSchema,
  })
  .openapi("AccountEvent");

const EVENT = {
  id: "1795312800000000",
  type: "account.refusals",
  at: "2026-11-22T02:20:00.000Z",
  hour: "2026-11-22T02:00:00.000Z",
  data: { reason: "too_many_messages", code: "55", count: 74 },
  rule: refusalSentence("too_many_messages"),
};

export const accountEvents = v1App();

accountEvents.openapi(
  createRoute({
    method: "get",
    path: "/",
    operationId: "listAccountEvents",
    summary: "What the account should hear, such as refusals that an old client never reads",
    tags: ["requests"],
    request: {
      query: z.object({
        after: z
          .string()
          .regex(/^\d{1,16}$/)
          .default("0"),
        limit,
      }),
    },
    responses: {
      200: answer("Events, oldest first", z.object({ events: z.array(eventSchema) }), {
        refusals: { events: [EVENT] },
      }),
      ...refusals("query"),
    },
  }),
  async (c) => {
    const query = c.req.valid("query");
    const { getAccountEvents } = c.get("services");
    const found = await getAccountEvents(c.get("caller"), Number(query.after), query.limit);
    if (!found.ok) return refused(c, found.error);
    const events = found.value.map(({ id, type, hourMs, atMs, data }) => ({
      id: String(id),
      type,
      at: isoTime(atMs),
      hour: isoTime(hourMs),
      data,
      rule: ruleOf(data["reason"]),
    }));
    return c.json({ events }, 200);
  },
);

function ruleOf(reason: unknown) {
  return typeof reason === "string" ? refusalSentence(reason) : null;
}
