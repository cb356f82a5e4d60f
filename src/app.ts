/**
 * The Worker's HTTP face: gives every request an id and its services, mounts the apis, and answers what none of
 * them knows. An error is logged by class and place and answered without its message.
 */
import { Hono } from "hono";
import { getPath } from "hono/utils/url";
import { bridge } from "./api/bridge.ts";
import { clientAddress, type ApiEnv } from "./api/environment.ts";
import { legacy } from "./api/legacy/routes.ts";
import { operator } from "./api/operator/routes.ts";
import { problem, ROUTE_UNKNOWN, SYSTEM_ERROR, SYSTEM_UNAVAILABLE } from "./api/problem.ts";
import { logLine } from "./api/request-note.ts";
import { composeServices } from "./api/services.ts";
import { v1 } from "./api/v1/routes.ts";
import { DeadlinePassed } from "./domain/deadline.ts";
import { randomHex, systemRandomBytes } from "./domain/id.ts";
import { errorFields, logAlert } from "./domain/log.ts";

const LEGACY_FOLDER = "/sms/";

export const app = new Hono<ApiEnv>({ getPath: forgivingPath });

app.use(async (c, next) => {
  const requestId = `req_${randomHex(systemRandomBytes, 12)}`;
  c.set("requestId", requestId);
  const later = (work: Promise<unknown>) => c.executionCtx.waitUntil(work);
  const services = composeServices(c.env, later);
  c.set("services", services);
  const startedMs = services.clock();
  await next();
  const note = c.get("note");
  const isPlainHttp = c.req.url.startsWith("http:");
  const times = { startedMs, endedMs: services.clock() };
  const isStranger = c.get("isStranger") === true;
  const asked = {
    requestId,
    address: clientAddress(c.req.raw),
    isPlainHttp,
    isStranger,
    ...times,
  };
  const line = note === undefined ? null : logLine(note, asked);
  if (line !== null) services.logRequest(line);
  services.readKeyNames();
  // An object's answer to a host cannot be written to. Ours can, in place: Hono's way would build each one twice.
  if (!c.req.path.startsWith("/bridge/")) c.res.headers.set("X-Request-Id", requestId);
});

app.route("/", legacy);
app.route("/v1", v1);
app.route("/operator", operator);
app.route("/", bridge);

app.notFound((c) => problem(ROUTE_UNKNOWN, c.get("requestId")));

app.onError((error, c) => {
  logAlert("request failed", { requestId: c.get("requestId"), ...errorFields(error) });
  const refusal = error instanceof DeadlinePassed ? SYSTEM_UNAVAILABLE : SYSTEM_ERROR;
  return problem(refusal, c.get("requestId"));
});

/** Old clients double slashes and add one at the end; only their own paths are forgiven. */
function forgivingPath(request: Request): string {
  const path = getPath(request);
  const tidy = path.replace(/\/{2,}/g, "/").replace(/(.)\/$/, "$1");
  return tidy.startsWith(LEGACY_FOLDER) ? tidy : path;
}
