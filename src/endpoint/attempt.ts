/**
 * One attempt in three typed stages: prepare (check the address, render, sign) -> post (the only HTTP call) -> judge
 * (what its end means for the event). Stores nothing; a failure is a value.
 */
import type { Clock } from "../domain/clock.ts";
import { cross } from "../domain/crossing.ts";
import type { Result } from "../domain/result.ts";
import { ok, unreachable } from "../domain/result.ts";
import type { WebhookUrlRules } from "../domain/webhook-url.ts";
import { checkWebhookUrl } from "../domain/webhook-url.ts";
import type { RenderedBody } from "./body.ts";
import type { AttemptOutcome } from "./interface.ts";
import { nextAttemptMs, readRetryAfter } from "./schedule.ts";
import { signatureHeaders } from "./signature.ts";

export const ATTEMPT_TIMEOUT_MS = 15_000;
export const ANSWER_BYTES_MAX = 4_096;
const USER_AGENT = "Kabar/1 (+webhook)";
const STATUS_GONE = 410;

export interface PreparedRequest {
  url: string;
  headers: Record<string, string>;
  body: string;
}

export type AttemptEnd =
  | {
      kind: "answered";
      status: number;
      retryAfter: string | null;
      answer: string;
      durationMs: number;
    }
  | { kind: "timeout" | "unreachable"; durationMs: number }
  | { kind: "address_refused" };

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

/** Stage 2. Whoever holds the controller may end it early. */
export async function post(
  request: PreparedRequest,
  clock: Clock,
  controller: AbortController,
): Promise<AttemptEnd> {
  const startedMs = clock();
  let isLate = false;
  const timer = setTimeout(() => {
    isLate = true;
    controller.abort();
  }, ATTEMPT_TIMEOUT_MS);
  try {
    const response = await cross("http", "endpoint.post", async () =>
      fetch(request.url, {
        method: "POST",
        headers: request.headers,
        body: request.body,
        redirect: "manual",
        signal: controller.signal,
      }),
    );
    const answer = await readStart(response);
    const { status, headers } = response;
    const retryAfter = headers.get("retry-after");
    return { kind: "answered", status, retryAfter, answer, durationMs: clock() - startedMs };
  } catch {
    // Whatever was thrown may quote the address: its class says nothing that the two words do not.
    return { kind: isLate ? "timeout" : "unreachable", durationMs: clock() - startedMs };
  } finally {
    clearTimeout(timer);
  }
}

/** The status has decided already: an answer that stalls or breaks off is kept as far as it came. */
async function readStart(response: Response): Promise<string> {
  if (response.body === null) return "";
  const reader = response.body.getReader();
  const kept = new Uint8Array(ANSWER_BYTES_MAX);
  let length = 0;
  try {
    while (length < ANSWER_BYTES_MAX) {
      const chunk = await reader.read();
      if (chunk.done) break;
      const part = (chunk.value as Uint8Array).subarray(0, ANSWER_BYTES_MAX - length);
      kept.set(part, length);
      length += part.byteLength;
    }
    await reader.cancel();
  } catch {
    return textOf(kept, length);
  }
  return textOf(kept, length);
}

/** Without NUL, which ends a text for many readers of SQLite. */
function textOf(bytes: Uint8Array, length: number): string {
  return new TextDecoder().decode(bytes.subarray(0, length)).replaceAll("\u0000", "\uFFFD");
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
