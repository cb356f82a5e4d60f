/**
 * One attempt in three typed stages: prepare (check the address, render, sign) -> post (outgoing/post.ts) -> judge
 * (what its end means for the event). Stores nothing; a failure is a value.
 */
import type { Result } from "../domain/result.ts";
import { ok, unreachable } from "../domain/result.ts";
import type { WebhookUrlRules } from "../domain/webhook-url.ts";
import { checkWebhookUrl } from "../domain/webhook-url.ts";
import type { PostEnd, PreparedRequest } from "../outgoing/post.ts";
import { signatureHeaders } from "../outgoing/signature.ts";
import type { RenderedBody } from "./body.ts";
import type { AttemptOutcome } from "./interface.ts";
import { nextAttemptMs, readRetryAfter } from "./schedule.ts";

const USER_AGENT = "Kabar/1 (+webhook)";
const STATUS_GONE = 410;

export type AttemptEnd = PostEnd | { kind: "address_refused" };

export type Verdict =
  | { kind: "delivered" }
  /** The receiver says that it is gone for good. */
  | { kind: "gone" }
  | { kind: "retry"; atMs: number; askedFor: boolean }
  | { kind: "gave_up" };

/** Stage 1. The address is judged again: rules may have changed since it was saved. */
export function prepare(
  eventId: string,
  body: RenderedBody,
  to: { url: string; secrets: readonly string[] },
  rules: WebhookUrlRules,
  nowMs: number,
): Result<PreparedRequest, string> {
  const url = checkWebhookUrl(to.url, rules);
  if (!url.ok) return url;
  return ok({
    url: url.value,
    headers: {
      "content-type": body.contentType,
      "user-agent": USER_AGENT,
      ...body.headers,
      ...signatureHeaders(to.secrets, eventId, nowMs, body.text),
    },
    body: body.text,
  });
}

/** Stage 3. `attemptsDone` counts this one. */
export function judge(
  end: AttemptEnd,
  attemptsDone: number,
  nowMs: number,
  fraction: number,
): Verdict {
  if (outcomeOf(end) === "delivered") return { kind: "delivered" };
  if (end.kind === "answered" && end.status === STATUS_GONE) return { kind: "gone" };
  const mayAsk = end.kind === "answered" && (end.status === 429 || end.status === 503);
  const retryAfterMs = mayAsk ? readRetryAfter(end.retryAfter, nowMs) : null;
  const atMs = nextAttemptMs(attemptsDone, nowMs, retryAfterMs, fraction);
  return atMs === null
    ? { kind: "gave_up" }
    : { kind: "retry", atMs, askedFor: retryAfterMs !== null };
}

export function outcomeOf(end: AttemptEnd): Exclude<AttemptOutcome, "running" | "interrupted"> {
  switch (end.kind) {
    case "answered":
      return end.status >= 200 && end.status < 300 ? "delivered" : "refused";
    case "timeout":
    case "unreachable":
    case "address_refused":
      return end.kind;
    default:
      return unreachable(end);
  }
}
