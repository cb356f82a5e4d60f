/** Webhooks as /v1 shows and takes them: schemas, examples and the way from what the gateway answers. No routes. */
import { eventTypes, type EventType } from "../../domain/event.ts";
import type { EndpointAnswer } from "../../gateway/endpoint-answer.ts";
import type { EndpointChange, NewEndpoint } from "../../gateway/manage-endpoints.ts";
import { EXAMPLE_WAID, isoTime, isoTimeOrNull, timeSchema, waidSchema, z } from "./wire.ts";

export const EXAMPLE_ENDPOINT_ID = "5f2b8c1d9e3a47068b1c2d3e4f5a6b7c";

export const endpointParams = z.object({
  id: z
    .string()
    .regex(/^[0-9a-f]{32}$/)
    .openapi({ param: { name: "id", in: "path" }, example: EXAMPLE_ENDPOINT_ID }),
});

const typeSchema = z.enum(eventTypes as [EventType, ...EventType[]]).openapi("EventType");
const kindSchema = z.enum(["inbox", "tracking"]);

const urlField = z
  .string()
  .min(1)
  .max(2_048)
  .openapi({ description: "A public https address. http needs allow_http." });
const eventsField = z
  .array(typeSchema)
  .min(1)
  .max(eventTypes.length)
  .nullable()
  .openapi({ description: "For json: the types it gets; null means all." });
const devicesField = z
  .array(waidSchema)
  .min(1)
  .max(200)
  .nullable()
  .openapi({ description: "The devices whose events it gets; null means all." });

export const endpointSchema = z
  .object({
    id: z.string(),
    url: z.string(),
    format: z.enum(["form", "json"]),
    kind: kindSchema.nullable().openapi({ description: "What a form carries; null for json." }),
    events: z.array(typeSchema).nullable(),
    devices: z.array(z.string()).nullable(),
    allow_http: z.boolean(),
    enabled: z.boolean().openapi({ description: "Your own switch. While off, events wait." }),
    disabled: z
      .object({ reason: z.enum(["failing", "gone"]), at: timeSchema })
      .nullable()
      .openapi({
        description:
          "Deliveries were stopped: 5 days of nothing but failures, or the receiver answered 410. Save the endpoint to go on.",
      }),
    failing_since: timeSchema.nullable(),
    former_secret_until: timeSchema.nullable(),
    waiting: z.int().openapi({ description: "Events in the queue." }),
    dead: z.int().openapi({ description: "Events in the dead-letter list." }),
    last_delivered_at: timeSchema.nullable(),
    created_at: timeSchema,
  })
  .openapi("Endpoint");

const secretField = z
  .string()
  .openapi({ description: "whsec_...: shown now and never again. Check signatures with it." });

export const newEndpointSchema = endpointSchema
  .extend({ secret: secretField })
  .openapi("NewEndpoint");

export const rotatedSchema = z
  .object({
    id: z.string(),
    secret: secretField,
    former_secret_until: timeSchema.openapi({ description: "Until then both sign." }),
  })
  .openapi("NewSecret");

export const newEndpointBody = z
  .strictObject({
    url: urlField,
    format: z.enum(["form", "json"]).openapi({
      description: "form: exactly the keys of the old API. json: type, timestamp and data.",
    }),
    kind: kindSchema
      .optional()
      .openapi({ description: "For form only, and needed there: one kind an endpoint." }),
    events: eventsField.optional(),
    devices: devicesField.optional(),
    allow_http: z.boolean().optional().openapi({ default: false }),
  })
  .refine(({ format, kind }) => (format === "form") === (kind !== undefined), {
    path: ["kind"],
    message: "is inbox or tracking for a form, and not given for json",
  })
  .refine(({ format, events }) => format === "json" || events === undefined, {
    path: ["events"],
    message: "is for json; a form carries its one kind",
  })
  .openapi("EndpointRequest");

export const endpointChangeBody = z
  .strictObject({
    url: urlField.optional(),
    events: eventsField.optional(),
    devices: devicesField.optional(),
    allow_http: z.boolean().optional(),
    enabled: z.boolean().optional(),
  })
  .refine((body) => Object.keys(body).length > 0, "names something to change")
  .openapi("EndpointChange");

export const ENDPOINT = {
  id: EXAMPLE_ENDPOINT_ID,
  url: "https://toko.co.id/kabar",
  format: "json",
  kind: null,
  events: null,
  devices: null,
  allow_http: false,
  enabled: true,
  disabled: null,
  failing_since: null,
  former_secret_until: null,
  waiting: 0,
  dead: 0,
  last_delivered_at: null,
  created_at: "2026-11-22T02:00:00.000Z",
};
export const NEW_ENDPOINT = { ...ENDPOINT, secret: "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw" };

export const WISHES = {
  everything: { url: ENDPOINT.url, format: "json" },
  some: {
    url: ENDPOINT.url,
    format: "json",
    events: ["message.inbound", "device.logged_out"],
    devices: [EXAMPLE_WAID],
  },
  "old tracking script": {
    url: "http://toko.co.id/tracking.php",
    format: "form",
    kind: "tracking",
    allow_http: true,
  },
};

export function wishOf(body: z.infer<typeof newEndpointBody>): NewEndpoint {
  return {
    url: body.url,
    format: body.format,
    kind: body.kind ?? null,
    types: body.events ?? null,
    waids: body.devices ?? null,
    allowHttp: body.allow_http ?? false,
    enabled: true,
  };
}

export function changeOf(body: z.infer<typeof endpointChangeBody>): EndpointChange {
  const { url, events, devices, allow_http: allowHttp, enabled } = body;
  return {
    ...(url === undefined ? {} : { url }),
    ...(events === undefined ? {} : { types: events }),
    ...(devices === undefined ? {} : { waids: devices }),
    ...(allowHttp === undefined ? {} : { allowHttp }),
    ...(enabled === undefined ? {} : { enabled }),
  };
}

export function endpointShape({
  row,
  waids,
  view,
}: EndpointAnswer): z.infer<typeof endpointSchema> {
  const { disabled } = view;
  return {
    id: row.id,
    url: row.url,
    format: row.format,
    kind: row.kind,
    events: row.types,
    devices: waids,
    allow_http: row.allowHttp,
    enabled: row.enabled,
    disabled: disabled === null ? null : { reason: disabled.reason, at: isoTime(disabled.atMs) },
    failing_since: isoTimeOrNull(view.failingSinceMs),
    former_secret_until: isoTimeOrNull(view.formerSecretUntilMs),
    waiting: view.waiting,
    dead: view.dead,
    last_delivered_at: isoTimeOrNull(view.lastDeliveredMs),
    created_at: isoTime(row.createdMs),
  };
}
