/**
 * One HTTP call with JSON in and out, a deadline, and an outcome as a value. What the answer means is for the caller.
 */
import type { z } from "zod";
import { err, ok, unreachable } from "../../src/domain/result.ts";
import type { Result } from "../../src/domain/result.ts";

const TIMEOUT_MS = 10_000;

export type CallFailure =
  | { reason: "unreachable" }
  | { reason: "refused"; status: number; body: unknown }
  | { reason: "unexpected_answer" };

export interface Call {
  method: "GET" | "POST" | "PATCH" | "DELETE";
  url: string;
  /** Sent as `Authorization: Bearer`. */
  token?: string;
  body?: unknown;
}

export async function callJson<T>(
  call: Call,
  shape: z.ZodType<T>,
): Promise<Result<T, CallFailure>> {
  const answer = await exchange(call);
  if (answer === null) return err({ reason: "unreachable" });
  if (answer.status >= 300) return err({ reason: "refused", ...answer });
  const parsed = shape.safeParse(answer.body);
  return parsed.success ? ok(parsed.data) : err({ reason: "unexpected_answer" });
}

/** For a sentence: "HTTP 404", "no answer". */
export function describeCallFailure(failure: CallFailure): string {
  switch (failure.reason) {
    case "unreachable":
      return "no answer";
    case "refused":
      return `HTTP ${failure.status}`;
    case "unexpected_answer":
      return "an answer in another shape";
    default:
      return unreachable(failure);
  }
}

/** Null when there was no whole answer. */
async function exchange(call: Call): Promise<{ status: number; body: unknown } | null> {
  try {
    const response = await fetch(call.url, {
      method: call.method,
      headers: {
        "content-type": "application/json",
        ...(call.token === undefined ? {} : { authorization: `Bearer ${call.token}` }),
      },
      ...(call.body === undefined ? {} : { body: JSON.stringify(call.body) }),
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
    const text = await response.text();
    return { status: response.status, body: text === "" ? null : parseJson(text) };
  } catch {
    return null;
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
