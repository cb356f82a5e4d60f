/** What may be done with a webhook beside changing it: a new secret, a test, replays, and looking at what went wrong. */
import type { RequestFailure } from "../domain/failure.ts";
import { ok, type Result } from "../domain/result.ts";
import type {
  AttemptView,
  DeadLetterView,
  Page,
  ReplayReceipt,
  ReplayScope,
} from "../endpoint/interface.ts";
export type { ReplayScope } from "../endpoint/interface.ts";
import type { Caller } from "./device-answer.ts";
import { askEndpoint, ownEndpoint, type EndpointTools } from "./endpoint-answer.ts";

/** Portions put into the queue by one request; the rest is asked for with the cursor. */
const PORTIONS_MAX = 10;

export async function rotateSecret(
  tools: EndpointTools,
  caller: Caller,
  id: string,
): Promise<Result<{ secret: string; formerSecretUntilMs: number }, RequestFailure>> {
  const own = await ownEndpoint(tools, caller, id);
  return own.ok ? askEndpoint(() => tools.endpoints.rotateSecret(own.value.who)) : own;
}

export async function testEndpoint(
  tools: EndpointTools,
  caller: Caller,
  id: string,
): Promise<Result<{ eventId: string }, RequestFailure>> {
  const own = await ownEndpoint(tools, caller, id);
  return own.ok ? askEndpoint(() => tools.endpoints.sendTest(own.value.who)) : own;
}

export async function replayEvents(
  tools: EndpointTools,
  caller: Caller,
  id: string,
  scope: ReplayScope,
  cursor: number | null,
): Promise<Result<ReplayReceipt, RequestFailure>> {
  const own = await ownEndpoint(tools, caller, id);
  if (!own.ok) return own;
  let queued = 0;
  let next = cursor;
  for (let portion = 0; portion < PORTIONS_MAX; portion += 1) {
    const asked = next;
    const receipt = await askEndpoint(() => tools.endpoints.replay(own.value.who, scope, asked));
    if (!receipt.ok) return receipt;
    queued += receipt.value.queued;
    next = receipt.value.nextCursor;
    if (next === null || next === asked) break;
  }
  return ok({ queued, nextCursor: next });
}

export async function listAttempts(
  tools: EndpointTools,
  caller: Caller,
  id: string,
  cursor: number | null,
): Promise<Result<Page<AttemptView>, RequestFailure>> {
  const own = await ownEndpoint(tools, caller, id);
  return own.ok ? askEndpoint(() => tools.endpoints.attempts(own.value.who, cursor)) : own;
}

export async function listDeadLetters(
  tools: EndpointTools,
  caller: Caller,
  id: string,
  cursor: number | null,
): Promise<Result<Page<DeadLetterView>, RequestFailure>> {
  const own = await ownEndpoint(tools, caller, id);
  return own.ok ? askEndpoint(() => tools.endpoints.deadLetters(own.value.who, cursor)) : own;
}
