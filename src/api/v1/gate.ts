/**
 * What stands before every route of /v1 that needs a key, cheapest first, and all of it before D1 is asked: the
 * shape of the key, strangers, the key's own rate, and the size, depth and form of the body.
 */
import type { MiddlewareHandler } from "hono";
import { modeOfKey, parseApiKey } from "../../domain/api-key.ts";
import { sha256Hex } from "../../domain/digest.ts";
import type { BucketState } from "../../domain/token-bucket.ts";
import { bearerToken, clientAddress } from "../environment.ts";
import { boundedText, type BodyFailure } from "../body.ts";
import { isOverbuilt } from "../json-bounds.ts";
import {
  BODY_TOO_LARGE,
  JSON_MALFORMED,
  problem,
  rateLimited,
  strangerHeld,
  SYSTEM_UNAVAILABLE,
  type Problem,
} from "../problem.ts";
import { problemOf } from "./failure.ts";
import type { V1Context, V1Env } from "./wire.ts";

const BODY_BYTES_MAX = 65_536;

export const noStore: MiddlewareHandler<V1Env> = async (c, next) => {
  await next();
  c.header("Cache-Control", "no-store");
};

export const requireKey: MiddlewareHandler<V1Env> = async (c, next) => {
  const requestId = c.get("requestId");
  const unknown = problemOf({ reason: "key_unknown" });
  const key = parseApiKey(bearerToken(c.req.raw));
  if (key === null) return problem(unknown, requestId);
  const { strangers, clock } = c.get("services");
  const keyHash = await sha256Hex(key);
  const caller = { keyHash, keyMode: modeOfKey(key), address: clientAddress(c.req.raw) };
  c.set("caller", caller);
  const verdict = strangers.judge(caller, clock());
  if (verdict.kind !== "ask") c.set("isStranger", true);
  if (verdict.kind === "refused") return problem(unknown, requestId);
  if (verdict.kind === "held") return problem(strangerHeld(verdict.retryAfterMs), requestId);
  return next();
};

/**
 * Keys that D1 is not known to know are counted apart, so that random ones push out no real one. The request by which
 * a key becomes known counts as its first.
 */
export const limitKey: MiddlewareHandler<V1Env> = async (c, next) => {
  const { clock, keyRates, newKeyRates, strangers } = c.get("services");
  const caller = c.get("caller");
  const wasKnown = strangers.knows(caller);
  const taken = (wasKnown ? keyRates : newKeyRates).take(caller.keyHash, clock());
  if (taken.isAllowed) await next();
  else c.res = problem(rateLimited(taken.nextMs), c.get("requestId"));
  if (c.res.ok) strangers.hear(caller, null, clock());
  const isNew = !wasKnown && strangers.knows(caller);
  showRate(c, keyRates.tokensMax, isNew ? keyRates.take(caller.keyHash, clock()) : taken);
};

function showRate(c: V1Context, tokensMax: number, { left, fullMs }: BucketState): void {
  c.header("RateLimit-Limit", String(tokensMax));
  c.header("RateLimit-Remaining", String(left));
  c.header("RateLimit-Reset", String(Math.ceil(fullMs / 1000)));
}

/** Sends have turns of their own. */
const SEND_PATH = "/v1/messages";

export const takeTurn: MiddlewareHandler<V1Env> = async (c, next) => {
  if (c.req.method === "POST" && c.req.path === SEND_PATH) return next();
  const answered = await c.get("services").inTurn(c.get("caller").keyHash, async () => {
    await next();
    return true;
  });
  return answered === null ? problem(SYSTEM_UNAVAILABLE, c.get("requestId")) : undefined;
};

/** Reads the body once, bounded, and parses it once, for whoever asks for its JSON. */
export const boundBody: MiddlewareHandler<V1Env> = async (c, next) => {
  const text = await boundedText(c.req.raw, BODY_BYTES_MAX);
  if (!text.ok) return problem(UNREADABLE[text.error], c.get("requestId"));
  if (text.value !== "") {
    const parsed = parse(text.value);
    if (parsed === null) return problem(JSON_MALFORMED, c.get("requestId"));
    c.req.json = async <T>() => parsed.value as T;
  }
  callItJson(c, text.value !== "");
  return next();
};

const UNREADABLE: Record<BodyFailure, Problem> = {
  too_large: BODY_TOO_LARGE,
  not_utf8: JSON_MALFORMED,
};

/** Whatever its sender called it; what is not there is nothing. */
function callItJson(c: V1Context, isThere: boolean): void {
  const called = c.req.header("content-type");
  const { method, url, body } = c.req.raw;
  if (isThere ? called === "application/json" : called === undefined && body === null) return;
  const headers = new Headers(c.req.raw.headers);
  headers.delete("content-length");
  if (isThere) headers.set("content-type", "application/json");
  else headers.delete("content-type");
  c.req.raw = new Request(url, { method, headers });
}

/** Null for what is no JSON. */
function parse(text: string): { value: unknown } | null {
  if (isOverbuilt(text)) return null;
  try {
    return { value: JSON.parse(text) };
  } catch {
    // Whatever else it is, the caller says so.
    return null;
  }
}
