/** POST /v1/messages: one message, taken as it is written. Nothing is decoded, no time is without a zone. */
import { messageCategories } from "../../domain/message-status.ts";
import { asWritten } from "../../domain/message-text.ts";
import { parsePhoneNumber } from "../../domain/phone-number.ts";
import { err, ok } from "../../domain/result.ts";
import type { SendPacket } from "../../gateway/prepare-message.ts";
import type { SentMessage } from "../../gateway/send-messages.ts";
import { problemOfMessage } from "./failure.ts";
import { MESSAGE, messageSchema, messageShape } from "./message-shape.ts";
import {
  answer,
  createRoute,
  EXAMPLE_WAID,
  instantSchema,
  json,
  refusals,
  refused,
  refusedWith,
  v1App,
  waidSchema,
  z,
} from "./wire.ts";

const EXPIRES_IN_MIN_S = 30;
const EXPIRES_IN_MAX_S = 86_400;

const sendBody = z
  .strictObject({
    device: waidSchema,
    to: z.string().openapi({ description: "A mobile number, 0813… or +62813… or of abroad." }),
    text: z.string().openapi({
      description: "10 to 1,000 characters, sent as they are but for white space around them.",
    }),
    category: z.enum(messageCategories).optional().openapi({
      description: "otp goes first. Default: reminder for one that is for later, else the key's.",
    }),
    send_at: instantSchema.nullish().openapi({
      type: ["string", "null"],
      format: "date-time",
      description: "With an offset; at most 366 days ahead. In the past or missing: now.",
    }),
    expires_in: z
      .int()
      .min(EXPIRES_IN_MIN_S)
      .max(EXPIRES_IN_MAX_S)
      .nullish()
      .openapi({
        description:
          "Seconds after send_at in which it may leave; then it is cancelled and costs nothing. " +
          "Default: 300 for otp, else 86,400.",
      }),
  })
  .openapi("SendRequest");

const sendHeaders = z.object({
  "idempotency-key": z
    .string()
    .regex(/^[\x21-\x7e]{1,255}$/, "is 1 to 255 visible ASCII characters")
    .optional()
    .openapi({
      description:
        "Your own name for this request, kept for 24 hours. The same request again gets the first answer, with " +
        "Idempotency-Replayed: true; another one under the same name is refused. It replaces the duplicate window.",
      example: "order-4711-paid",
    }),
});

const NOW = {
  device: EXAMPLE_WAID,
  to: "0813-1000-1001",
  text: "Pesanan Anda sudah dikirim.",
  category: "notification",
};
const LATER = {
  device: EXAMPLE_WAID,
  to: "+6281310001002",
  text: "Besok pukul 09.00 jadwal kontrol Anda.",
  send_at: "2026-12-01T08:00:00+07:00",
  expires_in: 3600,
};

export const sending = v1App();

sending.openapi(
  createRoute({
    method: "post",
    path: "/",
    operationId: "sendMessage",
    summary: "Sends one text",
    description:
      "Accepted means durable and paid for: it is sent, or it ends in cancel or reject and costs nothing.",
    tags: ["messages"],
    request: {
      headers: sendHeaders,
      body: { required: true, content: json(sendBody, { now: NOW, later: LATER }) },
    },
    responses: {
      202: {
        ...answer("Accepted", messageSchema, { now: MESSAGE }),
        headers: {
          "Idempotency-Replayed": {
            description: "true when this request had been accepted before",
            schema: { type: "string" as const, enum: ["true"] },
          },
        },
      },
      ...refusals(
        true,
        { reason: "device_unknown" },
        { reason: "balance_expired" },
        { reason: "package_expired" },
        { reason: "idempotency_key_reused" },
        problemOfMessage({ reason: "number_invalid" }),
        problemOfMessage({ reason: "text_invalid", detail: "" }),
        problemOfMessage({ reason: "time_invalid" }),
        problemOfMessage({ reason: "recipient_opted_out" }),
        problemOfMessage({ reason: "balance_short" }),
        problemOfMessage({ reason: "quota_used_up" }),
        problemOfMessage({ reason: "device_unavailable" }),
        problemOfMessage({ reason: "queue_too_long" }),
        problemOfMessage({ reason: "account_restricted" }),
      ),
    },
  }),
  async (c) => {
    const body = c.req.valid("json");
    const repeatKey = c.req.valid("header")["idempotency-key"];
    const { sendMessages, strangers, clock, later } = c.get("services");
    const sent = sendMessages({
      ...c.get("caller"),
      waid: body.device,
      packets: [packetOf(body)],
      packetsMax: 1,
      ...(repeatKey === undefined ? {} : { repeatKey }),
    });
    // A client that hangs up does not stop what it has asked for.
    later(sent.catch(() => null));
    const answered = await sent;
    if (!answered.ok) return refused(c, answered.error);
    strangers.hear(c.get("caller"), null, clock());
    const [message] = answered.value;
    if (message === undefined) return refused(c, { reason: "system_unavailable" });
    if (!message.ok) return refusedWith(c, problemOfMessage(message.error));
    if (message.value.isRepeat) c.header("Idempotency-Replayed", "true");
    return c.json(messageShape(acceptedMessage(message.value, body.device)), 202);
  },
);

function packetOf({ to: written, text, send_at, expires_in, category }: z.infer<typeof sendBody>) {
  const to = parsePhoneNumber(written);
  if (to === null) return err({ reason: "number_invalid" } as const);
  const atMs = send_at ?? null;
  const packet: SendPacket = {
    to,
    text: asWritten(text),
    time: atMs === null ? { kind: "now" } : { kind: "at", atMs },
    category: category ?? null,
    lifeMs: typeof expires_in === "number" ? expires_in * 1000 : null,
  };
  return ok(packet);
}

/** As it stands at acceptance; a repeat of the request hears the same. */
function acceptedMessage(message: SentMessage, waid: string) {
  const { id, to, priceRupiah, acceptedMs, dueMs, expiresMs } = message;
  const isLater = dueMs > acceptedMs;
  const status = "pending" as const;
  const reason = isLater ? ("scheduled" as const) : ("queued" as const);
  const expectedAtMs = isLater ? dueMs : expiresMs;
  const history = [{ status, reason, atMs: acceptedMs }];
  return { id, waid, to, status, reason, expectedAtMs, priceRupiah, history };
}
