/** /v1/messages: finding messages and withdrawing them. Sending has a file of its own. */
import { parsePhoneNumber } from "../../domain/phone-number.ts";
import { MESSAGE, messageSchema, messageShape, statusSchema } from "./message-shape.ts";
import {
  answer,
  createRoute,
  EXAMPLE_MESSAGE_ID,
  EXAMPLE_WAID,
  idParam,
  instantSchema,
  json,
  limitParam,
  refusals,
  refused,
  v1App,
  waidSchema,
  z,
} from "./wire.ts";

const PAGE_MAX = 100;
const PAGE_DEFAULT = 50;

const tags = ["messages"];
const params = z.object({ id: idParam(EXAMPLE_MESSAGE_ID) });

export const messages = v1App();

const listQuery = z.object({
  device: waidSchema.optional().openapi({ example: EXAMPLE_WAID }),
  status: statusSchema.optional().openapi({ example: "pending" }),
  to: z
    .string()
    .transform((written, context) => {
      const digits = parsePhoneNumber(written);
      if (digits !== null) return digits;
      context.addIssue({ code: "custom", message: "is not a mobile number" });
      return z.NEVER;
    })
    .optional()
    .openapi({ type: "string", example: "0813-1000-1001" }),
  since: instantSchema.optional().openapi({
    description: "Accepted then or later.",
    example: "2026-11-01T00:00:00+07:00",
  }),
  until: instantSchema.optional().openapi({
    description: "Accepted before.",
    example: "2036-12-01T00:00:00+07:00",
  }),
  cursor: z
    .string()
    .regex(/^\d{1,15}$/)
    .optional()
    .openapi({ description: "next_cursor of the page before." }),
  limit: limitParam(PAGE_MAX, PAGE_DEFAULT),
});

const listSchema = z
  .object({
    messages: z.array(messageSchema),
    next_cursor: z.string().nullable().openapi({
      description: "For the next page, which may hold fewer than asked for; null at the end.",
    }),
  })
  .openapi("MessageList");

messages.openapi(
  createRoute({
    method: "get",
    path: "/",
    operationId: "listMessages",
    summary: "Messages of the account, newest first",
    description:
      "Filtered by status, a message may be missing for ten seconds after its status changed.",
    tags,
    request: { query: listQuery },
    responses: {
      200: answer("A page", listSchema, { one: { messages: [MESSAGE], next_cursor: null } }),
      ...refusals("query", { reason: "device_unknown" }),
    },
  }),
  async (c) => {
    const { device, status, to, since, until, cursor, limit } = c.req.valid("query");
    const list = await c.get("services").listMessages(c.get("caller"), {
      waid: device ?? null,
      status: status ?? null,
      to: to ?? null,
      sinceMs: since ?? null,
      untilMs: until ?? null,
      cursor: cursor === undefined ? null : Number(cursor),
      countMax: limit ?? PAGE_DEFAULT,
    });
    if (!list.ok) return refused(c, list.error);
    const { messages: found, nextCursor } = list.value;
    return c.json(
      {
        messages: found.map(messageShape),
        next_cursor: nextCursor === null ? null : String(nextCursor),
      },
      200,
    );
  },
);

messages.openapi(
  createRoute({
    method: "get",
    path: "/{id}",
    operationId: "getMessage",
    summary: "One message and its history",
    tags,
    request: { params },
    responses: {
      200: answer("The message", messageSchema, { pending: MESSAGE }),
      ...refusals(false, { reason: "message_unknown" }),
    },
  }),
  async (c) => {
    const id = Number(c.req.valid("param").id);
    const message = await c.get("services").getMessage(c.get("caller"), id);
    return message.ok ? c.json(messageShape(message.value), 200) : refused(c, message.error);
  },
);

messages.openapi(
  createRoute({
    method: "post",
    path: "/{id}/cancel",
    operationId: "cancelMessage",
    summary: "Withdraws a message that has not left",
    description: "Its price is given back. Repeating it changes nothing.",
    tags,
    request: { params },
    responses: {
      200: answer("The message", messageSchema, {
        cancelled: {
          ...MESSAGE,
          status: "cancel",
          reason: "cancelled_by_customer",
          expected_at: null,
        },
      }),
      ...refusals(false, { reason: "message_unknown" }, { reason: "message_not_waiting" }),
    },
  }),
  async (c) => {
    const id = Number(c.req.valid("param").id);
    const message = await c.get("services").cancelMessage(c.get("caller"), id);
    return message.ok ? c.json(messageShape(message.value), 200) : refused(c, message.error);
  },
);

const cancelBody = z
  .strictObject({
    device: waidSchema.optional(),
    key: z.int().min(1).optional().openapi({ description: "The id of a key." }),
    cursor: z
      .string()
      .regex(/^[A-Za-z0-9]{3,16}\.\d{1,15}$/)
      .optional()
      .openapi({ description: "next_cursor of the answer before." }),
  })
  .refine(({ device, key }) => device !== undefined || key !== undefined, "names a device or a key")
  .openapi("CancelRequest");

const cancelledSchema = z
  .object({
    cancelled: z.int().openapi({ description: "By this request." }),
    next_cursor: z
      .string()
      .nullable()
      .openapi({ description: "Ask again with it until it is null." }),
  })
  .openapi("Cancelled");

messages.openapi(
  createRoute({
    method: "post",
    path: "/cancel",
    operationId: "cancelMessages",
    summary: "Withdraws all that waits at a device, was sent with a key, or both",
    tags,
    request: {
      body: {
        required: true,
        content: json(cancelBody, { device: { device: EXAMPLE_WAID }, key: { key: 1 } }),
      },
    },
    responses: {
      200: answer("A portion is done", cancelledSchema, {
        done: { cancelled: 2, next_cursor: null },
      }),
      ...refusals(true, { reason: "device_unknown" }, { reason: "api_key_unknown" }),
    },
  }),
  async (c) => {
    const { device, key, cursor } = c.req.valid("json");
    const [waid = "", afterId = "0"] = cursor?.split(".") ?? [];
    const portion = await c.get("services").cancelWaiting(c.get("caller"), {
      waid: device ?? null,
      keyId: key ?? null,
      cursor: cursor === undefined ? null : { waid, afterId: Number(afterId) },
    });
    if (!portion.ok) return refused(c, portion.error);
    const { cancelledCount, nextCursor: next } = portion.value;
    return c.json(
      {
        cancelled: cancelledCount,
        next_cursor: next === null ? null : `${next.waid}.${next.afterId}`,
      },
      200,
    );
  },
);
