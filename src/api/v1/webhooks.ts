/**
 * What Kabar posts to a customer's webhooks, for the OpenAPI document: one definition a type of event, in the body of
 * json endpoints. Describes only; endpoint/body.ts makes the bodies.
 */
import type { OpenAPIHono } from "@hono/zod-openapi";
import { webhookEvent } from "../../domain/event.ts";
import { timeSchema, z, type V1Env } from "./wire.ts";

const HEADERS = z.object({
  "webhook-id": z.string().openapi({ description: "The event's id, the same on every attempt." }),
  "webhook-timestamp": z.string().openapi({ description: "Of the attempt, in seconds." }),
  "webhook-signature": z.string().openapi({
    description: "v1,<base64 of HMAC-SHA256 of id.timestamp.body>; two while a secret is rotated.",
  }),
});

export function registerWebhooks(app: OpenAPIHono<V1Env>): void {
  for (const option of webhookEvent.options) {
    const { type, data } = option.shape;
    const body = z.object({ type, timestamp: timeSchema, data });
    app.openAPIRegistry.registerWebhook({
      method: "post",
      path: type.value,
      operationId: `on.${type.value}`,
      tags: ["webhooks"],
      security: [],
      request: {
        headers: HEADERS,
        body: { required: true, content: { "application/json": { schema: body } } },
      },
      responses: { "2XX": { description: "Taken. Anything else is tried again." } },
    });
  }
}
