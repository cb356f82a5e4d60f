/**
 * What a test key may do: send tests and read. It is given to people who try things out, so it changes nothing that
 * is real (no device, no key, no allow-list) and sees no real message.
 */
import type { MiddlewareHandler } from "hono";
import { problem } from "../problem.ts";
import { problemOf } from "./failure.ts";
import type { V1Env } from "./wire.ts";

/** What shows real messages, or what was made of them. */
const HIDDEN = /^\/v1\/(?:devices\/[^/]+\/queue$|events|inbound|endpoints)/;

export const limitTestKey: MiddlewareHandler<V1Env> = async (c, next) => {
  const { method, path } = c.req;
  const isAllowed =
    method === "GET" ? !HIDDEN.test(path) : method === "POST" && path === "/v1/messages";
  if (c.get("caller").keyMode === "live" || isAllowed) return next();
  return problem(problemOf({ reason: "test_key_refused" }), c.get("requestId"));
};
