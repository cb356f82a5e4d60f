/** The caller's account events after a cursor, oldest first. */
import { readAccess } from "../directory/access.ts";
import { accountEventsAfter, type AccountEvent } from "../directory/account-events.ts";
import type { RequestFailure } from "../domain/failure.ts";
import { ok, type Result } from "../domain/result.ts";
import type { Caller } from "./device-answer.ts";
import type { LogReadTools } from "./get-requests.ts";
import { LOG_KEPT_MS } from "./request-log.ts";

export async function getAccountEvents(
  { db, clock }: LogReadTools,
  caller: Caller,
  after: number,
  limit: number,
): Promise<Result<AccountEvent[], RequestFailure>> {
  const nowMs = clock();
  const access = await readAccess(db, { ...caller, waid: null }, nowMs);
  if (!access.ok) return access;
  const { accountId } = access.value;
  return ok(await accountEventsAfter(db, accountId, after, nowMs - LOG_KEPT_MS, limit));
}
