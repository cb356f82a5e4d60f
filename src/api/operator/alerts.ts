/** /operator/alerts: what a person must look at, that somebody is, and a trial of the sinks. */
import { Hono } from "hono";
import { alertShape } from "../../alerts/digest.ts";
import { logAlert } from "../../domain/log.ts";
import type { ApiEnv } from "../environment.ts";
import { problem } from "../problem.ts";
import { acknowledgement, parseBody } from "./requests.ts";

export const alerts = new Hono<ApiEnv>();

/** Open ones; with `?all=1` those that were acknowledged as well. */
alerts.get("/", async (c) => {
  const which = c.req.query("all") === undefined ? "open" : "all";
  const view = await c.get("services").operator.alerts.list(which);
  return c.json({
    alerts: view.alerts.map(alertShape),
    more: view.more,
    sinks: view.channels.map(({ channel, isConfigured, toldMs, failingSinceMs }) => ({
      sink: channel,
      configured: isConfigured,
      last_told_at: isoOrNull(toldMs),
      failing_since: isoOrNull(failingSinceMs),
    })),
  });
});

/** Body: `{"ids": [...]}`, or `{"all": true}`. */
alerts.post("/acknowledge", async (c) => {
  const body = await parseBody(c.req.raw, acknowledgement);
  if (!body.ok) return problem(body.error, c.get("requestId"));
  const ids = "ids" in body.value ? body.value.ids : null;
  const acknowledged = await c.get("services").operator.alerts.acknowledge(ids);
  return c.json({ acknowledged });
});

/** Raises one, so that the way to the sinks can be tried before it is needed. */
alerts.post("/test", (c) => {
  logAlert("test of the alerts", { requestId: c.get("requestId") });
  return c.body(null, 202);
});

function isoOrNull(atMs: number | null): string | null {
  return atMs === null ? null : new Date(atMs).toISOString();
}
