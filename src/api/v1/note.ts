/**
 * How /v1 answered, for the request log: the code of the problem, or `ok`. Reads a copy of a refusal after it was
 * given, so that no route needs to know of the log.
 */
import type { MiddlewareHandler } from "hono";
import { matchedRoutes } from "hono/route";
import { parseApiKey, shownKeyPrefix } from "../../domain/api-key.ts";
import { sha256Hex } from "../../domain/digest.ts";
import type { Caller } from "../../gateway/device-answer.ts";
import { bearerToken } from "../environment.ts";
import type { V1Context, V1Env } from "./wire.ts";

const SEND = "POST /v1/messages";

/** What can be no key names none, and leaves no line. */
export const noteRequest: MiddlewareHandler<V1Env> = async (c, next) => {
  const key = parseApiKey(bearerToken(c.req.raw));
  await next();
  if (key === null) return;
  // The document is open to everybody: before it, no caller is made.
  const caller: Caller | undefined = c.get("caller");
  const endpoint = `${c.req.method} ${routeOf(c)}`;
  const code = await codeOf(c);
  const isSend = endpoint === SEND;
  const isRefused = code !== null;
  c.set("note", {
    key: { hash: caller?.keyHash ?? (await sha256Hex(key)), prefix: shownKeyPrefix(key) },
    endpoint,
    code: code ?? "ok",
    refusals: isRefused ? [{ reason: code, code, count: 1 }] : [],
    acceptedCount: isSend && !isRefused ? 1 : 0,
    refusedCount: isSend && isRefused ? 1 : 0,
    isUnread: false,
  });
};

/** The pattern, never the path, which may hold anything. */
function routeOf(c: V1Context): string {
  return (
    matchedRoutes(c)
      .at(-1)
      ?.path.replaceAll(/:(\w+)(?:\{[^}]*\})?/g, "{$1}") ?? "/v1"
  );
}

async function codeOf(c: V1Context): Promise<string | null> {
  if (c.res.ok) return null;
  try {
    const body = await c.res.clone().json<{ code?: unknown }>();
    return typeof body.code === "string" ? body.code : `http_${c.res.status}`;
  } catch {
    // Not a problem document: the status is all there is to say.
    return `http_${c.res.status}`;
  }
}
