/** /v1/events: what happened, for servers that ask instead of being told, or were down. */
import { eventTypes } from "../../domain/event.ts";
import type { EventsCursor } from "../../gateway/list-events.ts";
import {
  answer,
  createRoute,
  isoTime,
  json,
  limitParam,
  refusals,
  refused,
  timeSchema,
  v1App,
  z,
} from "./wire.ts";

const PAGE_MAX = 200;
const PAGE_DEFAULT = 100;

const tags = ["webhooks"];

const eventSchema = z
  .object({
    id: z.string().openapi({ description: "The same as in the header webhook-id." }),
    type: z.enum(eventTypes as [string, ...string[]]),
    timestamp: timeSchema,
    data: z.record(z.string(), z.unknown()),
  })
  .openapi("Event");

const EVENT = {
  id: "evt_K7M2QX_41",
  type: "message.sent",
  timestamp: "2026-11-22T02:00:04.000Z",
  data: {
    id: "5965088963277",
    device: "K7M2QX",
    to: "6281310001001",
    status: "sent",
    reason: null,
    expected_at: null,
  },
};

export const events = v1App();

const eventsSchema = z
  .object({
    events: z.array(eventSchema),
    next: z.string().openapi({ description: "Keep it, and pass it as `after` the next time." }),
    has_more: z.boolean().openapi({ description: "Ask again at once." }),
  })
  .openapi("EventList");

events.openapi(
  createRoute({
    method: "get",
    path: "/",
    operationId: "listEvents",
    summary: "What happened after a position, oldest first, for 7 days",
    description:
      "Kept from the moment on at which the account has an endpoint or says PUT /events {kept: true}.",
    tags,
    request: {
      query: z.object({
        after: z
          .string()
          .max(8_000)
          .regex(/^(?:[A-Za-z0-9-]{1,16}\.\d{1,16}(?:~|$))*$/, "is `next` of an earlier answer")
          .default("")
          .openapi({ description: "`next` of the answer before; empty at first." }),
        limit: limitParam(PAGE_MAX, PAGE_DEFAULT),
      }),
    },
    responses: {
      200: answer("Events", eventsSchema, {
        one: { events: [EVENT], next: "K7M2QX.41", has_more: false },
      }),
      ...refusals("query"),
    },
  }),
  async (c) => {
    const { after, limit } = c.req.valid("query");
    const cursor = cursorOf(after);
    const { listEvents } = c.get("services");
    const found = await listEvents(c.get("caller"), cursor, limit ?? PAGE_DEFAULT);
    if (!found.ok) return refused(c, found.error);
    return c.json(
      {
        events: found.value.events.map(({ id, type, atMs, data }) => ({
          id,
          type,
          timestamp: isoTime(atMs),
          data: data as Record<string, unknown>,
        })),
        next: textOf(found.value.next),
        has_more: found.value.hasMore,
      },
      200,
    );
  },
);

const keptSchema = z.strictObject({ kept: z.boolean() }).openapi("EventsKept");

events.openapi(
  createRoute({
    method: "put",
    path: "/",
    operationId: "keepEvents",
    summary: "Whether events are kept although there is no endpoint",
    description: "An account with an endpoint keeps them anyway.",
    tags,
    request: { body: { required: true, content: json(keptSchema, { on: { kept: true } }) } },
    responses: {
      200: answer("As it is now", keptSchema, { on: { kept: true } }),
      ...refusals(true),
    },
  }),
  async (c) => {
    const { kept } = c.req.valid("json");
    const done = await c.get("services").keepEvents(c.get("caller"), kept);
    return done.ok ? c.json({ kept }, 200) : refused(c, done.error);
  },
);

function cursorOf(after: string): EventsCursor {
  const parts = after.split("~").filter((part) => part !== "");
  return new Map(
    parts.map((part) => {
      const [store = "", n = "0"] = part.split(".");
      return [store, Number(n)];
    }),
  );
}

function textOf(cursor: EventsCursor): string {
  return [...cursor].map(([store, n]) => `${store}.${n}`).join("~");
}
