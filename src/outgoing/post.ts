/**
 * The only place from which the gateway posts to somebody's server: one attempt, with an end to waiting and a bound on
 * what is read of the answer. Follows no redirect. A failure is a value; it refuses to repeat anything.
 */
import type { Clock } from "../domain/clock.ts";
import { cross } from "../domain/crossing.ts";

export const POST_TIMEOUT_MS = 15_000;
export const ANSWER_BYTES_MAX = 4_096;

export interface PreparedRequest {
  url: string;
  headers: Record<string, string>;
  body: string;
}

export type PostEnd =
  | {
      kind: "answered";
      status: number;
      retryAfter: string | null;
      answer: string;
      durationMs: number;
    }
  | { kind: "timeout" | "unreachable"; durationMs: number };

/** `name` is static, for the seam. Whoever holds the controller may end it early. */
export async function post(
  name: string,
  request: PreparedRequest,
  clock: Clock,
  controller: AbortController,
): Promise<PostEnd> {
  const startedMs = clock();
  let isLate = false;
  const timer = setTimeout(() => {
    isLate = true;
    controller.abort();
  }, POST_TIMEOUT_MS);
  try {
    const response = await cross("http", name, async () =>
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
