/**
 * /v1/requests: the account's own request log, and the way from a refused address to the key's allow-list.
 */
import { addressRange, addressText, rangeText } from "../../domain/client-address.ts";
import { refusalSentence } from "../../domain/refusal-sentences.ts";
import type { RequestsPage } from "../../gateway/get-requests.ts";
import {
  answer,
  createRoute,
  isoTime,
  json,
  refusals,
  refused,
  timeSchema,
  v1App,
  z,
} from "./wire.ts";

type Line = RequestsPage["lines"][number];

const EXAMPLE_REQUEST = "req_4b5c0a1d9e8f7a6b5c4d3e2f";

export const ruleSchema = z
  .object({ id: z.string(), en: z.string() })
  .nullable()
  .openapi("Rule", { description: "The rule in words: Indonesian and English." });

const requestSchema = z
  .object({
    id: z.string().openapi({ description: "The X-Request-Id of the answer." }),
    at: timeSchema,
    address: z.string().nullable(),
    key: z.object({ id: z.int(), prefix: z.string(), name: z.string() }),
    endpoint: z.string(),
    code: z
      .string()
      .openapi({ description: "The old API's globalstatus, or a problem's code; ok." }),
    refusals: z.array(
      z.object({ code: z.string(), reason: z.string(), count: z.int(), rule: ruleSchema }),
    ),
    packets: z.object({ accepted: z.int(), refused: z.int() }),
    duration_ms: z.int(),
    plain_http: z.boolean(),
  })
  .openapi("LoggedRequest");

function requestShape({ keyId, keyPrefix, keyName, line }: Line): z.infer<typeof requestSchema> {
  return {
    id: line.id,
    at: isoTime(line.at),
    address: line.address === "" ? null : addressText(line.address),
    key: { id: keyId, prefix: keyPrefix, name: keyName },
    endpoint: line.endpoint,
    code: line.code,
    refusals: (line.why ?? []).map(({ code, reason, count }) => ({
      code,
      reason,
      count,
      rule: refusalSentence(reason),
    })),
    packets: { accepted: line.accepted, refused: line.refused },
    duration_ms: line.ms,
    plain_http: line.plain_http === true,
  };
}

const REQUEST = {
  id: EXAMPLE_REQUEST,
  at: "2026-11-22T02:00:00.000Z",
  address: "203.0.113.7",
  key: { id: 3, prefix: "9f86d0", name: "server" },
  endpoint: "POST /sms/api_whatsapp_send_json.php",
  code: "40",
  refusals: [
    {
      code: "40",
      reason: "address_not_allowed",
      count: 1,
      rule: refusalSentence("address_not_allowed"),
    },
  ],
  packets: { accepted: 0, refused: 1 },
  duration_ms: 12,
  plain_http: false,
};

const tags = ["requests"];
export const limit = z.coerce.number().int().min(1).max(100).default(50);

export const requests = v1App();

requests.openapi(
  createRoute({
    method: "get",
    path: "/",
    operationId: "listRequests",
    summary: "The request log of seven days, newest first",
    tags,
    request: {
      query: z.object({
        code: z.string().max(40).optional().openapi({
          description: "A code of the request or of one of its packets, or a reason.",
        }),
        key: z
          .string()
          .regex(/^[0-9a-f]{1,6}$/)
          .optional()
          .openapi({ description: "The beginning of a key." }),
        address: z
          .string()
          .refine((text) => addressRange(text) !== null, "must be an address or a range")
          .optional(),
        since: z.iso.datetime({ offset: true }).optional(),
        until: z.iso.datetime({ offset: true }).optional(),
        only: z.enum(["refusals"]).optional(),
        cursor: z
          .string()
          .regex(/^\d{1,15}$/)
          .optional(),
        limit,
      }),
    },
    responses: {
      200: answer(
        "Requests, newest first",
        z.object({ requests: z.array(requestSchema), next_cursor: z.string().nullable() }),
        { refused: { requests: [REQUEST], next_cursor: null } },
      ),
      ...refusals("query"),
    },
  }),
  async (c) => {
    const query = c.req.valid("query");
    const page = await c.get("services").getRequests(c.get("caller"), {
      before: query.cursor === undefined ? null : Number(query.cursor),
      sinceMs: query.since === undefined ? null : Date.parse(query.since),
      untilMs: query.until === undefined ? null : Date.parse(query.until),
      requestId: null,
      code: query.code ?? null,
      keyPrefix: query.key ?? null,
      address: query.address === undefined ? null : addressRange(query.address),
      refusalsOnly: query.only === "refusals",
      limit: query.limit,
    });
    if (!page.ok) return refused(c, page.error);
    const { lines, nextBefore } = page.value;
    const cursor = nextBefore === null ? null : String(nextBefore);
    return c.json({ requests: lines.map(requestShape), next_cursor: cursor }, 200);
  },
);

const allowed = z
  .object({ key: z.object({ id: z.int() }), allowed: z.string() })
  .openapi("AllowedAddress");

requests.openapi(
  createRoute({
    method: "post",
    path: "/{id}/allow-address",
    operationId: "allowRefusedAddress",
    summary: "Allow the address that a request was refused for",
    tags,
    request: {
      params: z.object({
        id: z
          .string()
          .regex(/^req_[0-9a-f]{24}$/)
          .openapi({ param: { name: "id", in: "path" }, example: EXAMPLE_REQUEST }),
      }),
      body: {
        required: true,
        content: json(
          z.strictObject({
            prefix: z.enum(["address", "64"]).openapi({
              description: "The address alone, or the IPv6 /64 around it.",
            }),
          }),
          { address: { prefix: "address" } },
        ),
      },
    },
    responses: {
      200: answer("What the key may be used from now", allowed, {
        allowed: { key: { id: 3 }, allowed: "203.0.113.7" },
      }),
      ...refusals(
        true,
        { reason: "request_unknown" },
        { reason: "address_not_refused" },
        { reason: "api_key_unknown" },
        { reason: "test_key_refused" },
      ),
    },
  }),
  async (c) => {
    const { allowRefusedAddress } = c.get("services");
    const { id } = c.req.valid("param");
    const added = await allowRefusedAddress(c.get("caller"), id, c.req.valid("json").prefix);
    if (!added.ok) return refused(c, added.error);
    const { keyId, range } = added.value;
    return c.json({ key: { id: keyId }, allowed: rangeText(range) }, 200);
  },
);
