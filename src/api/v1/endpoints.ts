/** /v1/endpoints: the account's webhooks. A secret is shown when it is made and never again. */
import {
  changeOf,
  ENDPOINT,
  endpointChangeBody,
  endpointParams as params,
  endpointSchema,
  endpointShape,
  NEW_ENDPOINT,
  newEndpointBody,
  newEndpointSchema,
  rotatedSchema,
  WISHES,
  wishOf,
} from "./endpoint-shape.ts";
import { answer, createRoute, isoTime, json, refusals, refused, v1App, z } from "./wire.ts";

const UNKNOWN = { reason: "endpoint_unknown" } as const;
const NO_DEVICE = { reason: "device_unknown" } as const;
const URL_REFUSED = { reason: "url_refused", sentence: "" } as const;
const TOO_MANY = { reason: "too_many_endpoints", max: 0 } as const;

const tags = ["webhooks"];

export const endpoints = v1App();

endpoints.openapi(
  createRoute({
    method: "post",
    path: "/",
    operationId: "createEndpoint",
    summary: "A new webhook; its secret is shown once",
    description: "It is told what happens from now on. A form needs a kind: inbox or tracking.",
    tags,
    request: { body: { required: true, content: json(newEndpointBody, WISHES) } },
    responses: {
      201: answer("The endpoint and its secret", newEndpointSchema, { created: NEW_ENDPOINT }),
      ...refusals(true, URL_REFUSED, NO_DEVICE, TOO_MANY),
    },
  }),
  async (c) => {
    const made = await c
      .get("services")
      .endpoints.create(c.get("caller"), wishOf(c.req.valid("json")));
    if (!made.ok) return refused(c, made.error);
    return c.json({ ...endpointShape(made.value), secret: made.value.secret }, 201);
  },
);

endpoints.openapi(
  createRoute({
    method: "get",
    path: "/",
    operationId: "listEndpoints",
    summary: "The account's webhooks",
    tags,
    responses: {
      200: answer("The endpoints", z.object({ endpoints: z.array(endpointSchema) }), {
        one: { endpoints: [ENDPOINT] },
      }),
      ...refusals(false),
    },
  }),
  async (c) => {
    const list = await c.get("services").endpoints.list(c.get("caller"));
    return list.ok
      ? c.json({ endpoints: list.value.map(endpointShape) }, 200)
      : refused(c, list.error);
  },
);

endpoints.openapi(
  createRoute({
    method: "get",
    path: "/{id}",
    operationId: "getEndpoint",
    summary: "One webhook, and how its deliveries go",
    tags,
    request: { params },
    responses: {
      200: answer("The endpoint", endpointSchema, { one: ENDPOINT }),
      ...refusals(false, UNKNOWN),
    },
  }),
  async (c) => {
    const { id } = c.req.valid("param");
    const found = await c.get("services").endpoints.get(c.get("caller"), id);
    return found.ok ? c.json(endpointShape(found.value), 200) : refused(c, found.error);
  },
);

endpoints.openapi(
  createRoute({
    method: "patch",
    path: "/{id}",
    operationId: "changeEndpoint",
    summary: "Another address or another choice; what waits goes to the new address",
    description: "Unless enabled is false, deliveries that were stopped start again.",
    tags,
    request: {
      params,
      body: {
        required: true,
        content: json(endpointChangeBody, {
          types: { events: ["message.inbound"] },
          off: { enabled: false },
        }),
      },
    },
    responses: {
      200: answer("The endpoint", endpointSchema, {
        changed: { ...ENDPOINT, events: ["message.inbound"] },
      }),
      ...refusals(true, UNKNOWN, URL_REFUSED, NO_DEVICE),
    },
  }),
  async (c) => {
    const { id } = c.req.valid("param");
    const change = changeOf(c.req.valid("json"));
    const changed = await c.get("services").endpoints.update(c.get("caller"), id, change);
    return changed.ok ? c.json(endpointShape(changed.value), 200) : refused(c, changed.error);
  },
);

const deletedSchema = z
  .object({ id: z.string(), deleted: z.literal(true) })
  .openapi("DeletedEndpoint");

endpoints.openapi(
  createRoute({
    method: "delete",
    path: "/{id}",
    operationId: "deleteEndpoint",
    summary: "Deletes a webhook with its queue, attempts and secret",
    tags,
    request: { params },
    responses: {
      200: answer("It is gone", deletedSchema, { deleted: { id: ENDPOINT.id, deleted: true } }),
      ...refusals(false, UNKNOWN),
    },
  }),
  async (c) => {
    const { id } = c.req.valid("param");
    const deleted = await c.get("services").endpoints.delete(c.get("caller"), id);
    return deleted.ok ? c.json({ id, deleted: true as const }, 200) : refused(c, deleted.error);
  },
);

endpoints.openapi(
  createRoute({
    method: "post",
    path: "/{id}/rotate",
    operationId: "rotateEndpointSecret",
    summary: "A new secret; for 24 hours the former one signs beside it",
    tags,
    request: { params },
    responses: {
      200: answer("The new secret", rotatedSchema, {
        rotated: {
          id: ENDPOINT.id,
          secret: NEW_ENDPOINT.secret,
          former_secret_until: "2026-11-23T02:00:00.000Z",
        },
      }),
      ...refusals(false, UNKNOWN),
    },
  }),
  async (c) => {
    const { id } = c.req.valid("param");
    const rotated = await c.get("services").endpoints.rotate(c.get("caller"), id);
    if (!rotated.ok) return refused(c, rotated.error);
    const { secret, formerSecretUntilMs } = rotated.value;
    return c.json({ id, secret, former_secret_until: isoTime(formerSecretUntilMs) }, 200);
  },
);
