/** /v1/keys: the account's own API keys. A key that was made is shown once; lists show its first digits. */
import {
  addressesBody,
  KEY,
  keyChangeBody,
  keySchema,
  keyShape,
  newKeyBody,
  newKeySchema,
} from "./key-shape.ts";
import { answer, createRoute, idParam, json, refusals, refused, v1App, z } from "./wire.ts";

const OVERLAP_DEFAULT_S = 86_400;
const OVERLAP_MAX_S = 30 * 86_400;
const KEY_UNKNOWN = { reason: "api_key_unknown" } as const;
const TOO_MANY = { reason: "too_many_keys", inUseMax: 0, aDayMax: 0 } as const;

const tags = ["keys"];
const params = z.object({ id: idParam(KEY.id) });
const NEW_KEY = { ...KEY, api_key: "9f86d081884c7d659a2feaa0c55ad015" };

export const keys = v1App();

keys.openapi(
  createRoute({
    method: "get",
    path: "/",
    operationId: "listKeys",
    summary: "The account's keys, newest first",
    tags,
    responses: {
      200: answer("The keys", z.object({ keys: z.array(keySchema) }), { one: { keys: [KEY] } }),
      ...refusals(false),
    },
  }),
  async (c) => {
    const list = await c.get("services").keys.list(c.get("caller"));
    return list.ok ? c.json({ keys: list.value.map(keyShape) }, 200) : refused(c, list.error);
  },
);

keys.openapi(
  createRoute({
    method: "get",
    path: "/{id}",
    operationId: "getKey",
    summary: "One key",
    tags,
    request: { params },
    responses: {
      200: answer("The key", keySchema, { key: KEY }),
      ...refusals(false, KEY_UNKNOWN),
    },
  }),
  async (c) => {
    const id = Number(c.req.valid("param").id);
    const key = await c.get("services").keys.get(c.get("caller"), id);
    return key.ok ? c.json(keyShape(key.value), 200) : refused(c, key.error);
  },
);

const WISH = { name: "Server", addresses: ["203.0.113.0/28", "2001:db8::/48"] };

keys.openapi(
  createRoute({
    method: "post",
    path: "/",
    operationId: "createKey",
    summary: "A new key, shown once",
    description: "It may be used from nowhere until addresses are listed or any_address is true.",
    tags,
    request: { body: { required: true, content: json(newKeyBody, { server: WISH }) } },
    responses: {
      201: answer("The key", newKeySchema, { key: NEW_KEY }),
      ...refusals(true, TOO_MANY),
    },
  }),
  async (c) => {
    const body = c.req.valid("json");
    const key = await c.get("services").keys.add(c.get("caller"), {
      name: body.name,
      mode: body.mode,
      anyAddress: body.any_address,
      addresses: body.addresses,
      encoding: body.encoding,
      dedupeWindow: body.duplicate_window,
      defaultCategory: body.default_category,
    });
    if (!key.ok) return refused(c, key.error);
    return c.json({ ...keyShape(key.value), api_key: key.value.apiKey }, 201);
  },
);

keys.openapi(
  createRoute({
    method: "patch",
    path: "/{id}",
    operationId: "changeKey",
    summary: "Another name, or another way to read what comes with it",
    tags,
    request: {
      params,
      body: {
        required: true,
        content: json(keyChangeBody, { otp: { default_category: "otp", encoding: "plain" } }),
      },
    },
    responses: {
      200: answer("The key", keySchema, {
        changed: { ...KEY, default_category: "otp", encoding: "plain" },
      }),
      ...refusals(true, KEY_UNKNOWN),
    },
  }),
  async (c) => {
    const id = Number(c.req.valid("param").id);
    const body = c.req.valid("json");
    const key = await c.get("services").keys.change(c.get("caller"), id, {
      name: body.name ?? null,
      encoding: body.encoding ?? null,
      dedupeWindow: body.duplicate_window ?? null,
      defaultCategory: body.default_category ?? null,
    });
    return key.ok ? c.json(keyShape(key.value), 200) : refused(c, key.error);
  },
);

keys.openapi(
  createRoute({
    method: "put",
    path: "/{id}/addresses",
    operationId: "replaceKeyAddresses",
    summary: "From where a key may be used: the whole list at once",
    description: "An empty list allows nobody. Look at warning: you may have shut yourself out.",
    tags,
    request: {
      params,
      body: {
        required: true,
        content: json(addressesBody, {
          office: { addresses: ["203.0.113.0/28", "2001:db8::/48"] },
        }),
      },
    },
    responses: {
      200: answer("The key", keySchema, { replaced: KEY }),
      ...refusals(true, KEY_UNKNOWN),
    },
  }),
  async (c) => {
    const id = Number(c.req.valid("param").id);
    const { addresses, any_address } = c.req.valid("json");
    const list = { addresses, anyAddress: any_address ?? null };
    const key = await c.get("services").keys.setAddresses(c.get("caller"), id, list);
    return key.ok ? c.json(keyShape(key.value), 200) : refused(c, key.error);
  },
);

keys.openapi(
  createRoute({
    method: "delete",
    path: "/{id}",
    operationId: "revokeKey",
    summary: "Ends a key at once and for good",
    tags,
    request: { params },
    responses: {
      200: answer("The key", keySchema, { revoked: { ...KEY, revoked: true } }),
      ...refusals(false, KEY_UNKNOWN),
    },
  }),
  async (c) => {
    const id = Number(c.req.valid("param").id);
    const key = await c.get("services").keys.revoke(c.get("caller"), id);
    return key.ok ? c.json(keyShape(key.value), 200) : refused(c, key.error);
  },
);

const rollBody = z
  .strictObject({
    overlap_s: z
      .int()
      .min(0)
      .max(OVERLAP_MAX_S)
      .optional()
      .openapi({ description: "How long the old key stays valid.", default: OVERLAP_DEFAULT_S }),
  })
  .openapi("RollRequest");

keys.openapi(
  createRoute({
    method: "post",
    path: "/{id}/roll",
    operationId: "rollKey",
    summary: "A new key with the same settings; the old one stays valid for a day",
    tags,
    request: {
      params,
      body: { required: false, content: json(rollBody, { hour: { overlap_s: 3600 } }) },
    },
    responses: {
      201: answer("The new key", newKeySchema, { key: { ...NEW_KEY, id: 4 } }),
      ...refusals(true, KEY_UNKNOWN, TOO_MANY),
    },
  }),
  async (c) => {
    const id = Number(c.req.valid("param").id);
    const overlapS = c.req.valid("json").overlap_s ?? OVERLAP_DEFAULT_S;
    const key = await c.get("services").keys.roll(c.get("caller"), id, overlapS * 1000);
    if (!key.ok) return refused(c, key.error);
    return c.json({ ...keyShape(key.value), api_key: key.value.apiKey }, 201);
  },
);
