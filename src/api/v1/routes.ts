/**
 * /v1: bearer key in, JSON out, and an OpenAPI document made of the routes themselves. Nothing here may be cached:
 * pairing QRs and codes are secrets.
 *
 * To add a route:
 * 1. One file a noun (devices.ts, messages.ts, ...): `export const things = v1App()`, mounted below by `v1.route`.
 * 2. `things.openapi(createRoute({method, path, operationId, summary, tags, request, responses}), handler)`, all of
 *    it from wire.ts. Schemas get a name by `.openapi("Thing")`. The 2xx response is `answer(description, schema,
 *    examples)`, a body `json(schema, examples)`, and `...refusals(takesBody, {reason}, ...)` adds every refusal.
 *    An example stands for the reader's own things by EXAMPLE_WAID and EXAMPLE_MESSAGE_ID.
 * 3. The handler takes `c.req.valid("param" | "query" | "json")`, asks `c.get("services")` with `c.get("caller")`,
 *    and answers `c.json(shape, 200)` or `refused(c, failure)`. It holds no rule and no SQL.
 * 4. A new failure gets its words in failure.ts. Every route gets a line in test/worker/v1-strangers.test.ts, which
 *    fails without it, and every example is run by test/worker/v1-examples.test.ts.
 */
import { accountEvents } from "./account-events.ts";
import { balance } from "./balance.ts";
import { devices } from "./devices.ts";
import { endpointDeliveries } from "./endpoint-deliveries.ts";
import { endpointHistory } from "./endpoint-history.ts";
import { endpoints } from "./endpoints.ts";
import { events } from "./events.ts";
import { boundBody, limitKey, noStore, requireKey, takeTurn } from "./gate.ts";
import { inbound } from "./inbound.ts";
import { keys } from "./keys.ts";
import { messages } from "./messages.ts";
import { noteRequest } from "./note.ts";
import { queue } from "./queue.ts";
import { requests } from "./requests.ts";
import { sending } from "./sending.ts";
import { limitTestKey } from "./test-key.ts";
import { registerWebhooks } from "./webhooks.ts";
import { v1App } from "./wire.ts";

export const v1 = v1App();

v1.use(noStore, noteRequest);

v1.get("/openapi.json", (c) =>
  c.body(openApiText(originOf(c.req.url)), 200, { "content-type": "application/json" }),
);

v1.use(requireKey, limitKey, limitTestKey, boundBody, takeTurn);

v1.route("/messages", sending);
v1.route("/messages", messages);
v1.route("/devices", devices);
v1.route("/devices", queue);
v1.route("/keys", keys);
v1.route("/balance", balance);
v1.route("/requests", requests);
v1.route("/account-events", accountEvents);
v1.route("/endpoints", endpoints);
v1.route("/endpoints", endpointDeliveries);
v1.route("/endpoints", endpointHistory);
v1.route("/events", events);
v1.route("/inbound", inbound);

registerWebhooks(v1);

v1.openAPIRegistry.registerComponent("securitySchemes", "key", {
  type: "http",
  scheme: "bearer",
  description: "An API key: 32 lower-case hex characters, also with the prefix kbr_.",
});

const ANY_ORIGIN = "https://origin.invalid";
let textForAnyOrigin: string | null = null;

/** Put together once, because that takes longer than a dozen sends and anybody may ask; only its server differs. */
function openApiText(origin: string): string {
  textForAnyOrigin ??= JSON.stringify(openApiDocument(ANY_ORIGIN));
  return textForAnyOrigin.replace(serverOf(ANY_ORIGIN), () => serverOf(origin));
}

/** Empty when the caller names a host that is none: the document then says where it is by its path alone. */
function originOf(url: string): string {
  return URL.canParse(url) ? new URL(url).origin : "";
}

function serverOf(origin: string): string {
  return JSON.stringify({ url: `${origin}/v1` });
}

/** `origin`: where this Worker is reached. */
export function openApiDocument(origin: string) {
  return v1.getOpenAPI31Document({
    openapi: "3.1.0",
    info: {
      title: "Kabar",
      version: "1",
      description:
        "WhatsApp texts by an account's own phones. Refusals are problem documents (RFC 9457).",
      license: { name: "Apache-2.0", url: "https://www.apache.org/licenses/LICENSE-2.0" },
    },
    servers: [{ url: `${origin}/v1` }],
    security: [{ key: [] }],
    tags: [
      { name: "messages", description: "Sending texts, and what became of them" },
      { name: "devices", description: "The account's phones" },
      { name: "keys", description: "Who may act for the account, and from where" },
      { name: "balance", description: "What may still be spent" },
      { name: "webhooks", description: "How the account's own server hears what happened" },
      {
        name: "requests",
        description: "What was asked with the account's keys, and why it was refused",
      },
    ],
  });
}
