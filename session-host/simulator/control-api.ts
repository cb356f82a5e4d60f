/**
 * The HTTP control API and the page, on the client's port. JSON in and out; README.md lists the calls. Meant for
 * loopback: there is no login, only a check that a browser page of another site cannot call it.
 */

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Hono } from "hono";
import { bodyLimit } from "hono/body-limit";
import { eventRoutes } from "./control-events.ts";
import { faultRoutes } from "./control-faults.ts";
import { phoneRoutes } from "./control-phones.ts";
import type { Network } from "./network.ts";

const PAGE_FILES = [
  { path: "/", file: "page.html", type: "text/html; charset=utf-8" },
  { path: "/page.css", file: "page.css", type: "text/css; charset=utf-8" },
  { path: "/page.js", file: "page.js", type: "text/javascript; charset=utf-8" },
];
const PAGE_POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
const BODY_BYTES_MAX = 64 * 1024;

export function controlApi(network: Network): Hono {
  const app = new Hono();
  app.use(bodyLimit({ maxSize: BODY_BYTES_MAX }));
  app.use(async (context, next) => {
    const { method } = context.req;
    const isJson = (context.req.header("content-type") ?? "").startsWith("application/json");
    // A foreign page can post forms without asking, but not JSON.
    if (method !== "GET" && method !== "HEAD" && !isJson)
      return context.json({ error: "content_type_must_be_json" }, 415);
    await next();
    return undefined;
  });
  for (const { path, file, type } of PAGE_FILES) {
    const content = readFileSync(join(import.meta.dirname, "page", file), "utf8");
    app.get(path, (context) =>
      context.body(content, 200, { "content-type": type, "content-security-policy": PAGE_POLICY }),
    );
  }
  app.get("/health", (context) =>
    context.json({ ok: true, rootPublicKey: network.identity.rootPublicKey.toString("hex") }),
  );
  app.route("/", phoneRoutes(network));
  app.route("/", faultRoutes(network));
  app.route("/", eventRoutes(network));
  app.notFound((context) => context.json({ error: "not_found" }, 404));
  app.onError((error, context) => context.json({ error: "failed", message: error.message }, 500));
  return app;
}
