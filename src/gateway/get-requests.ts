/** The caller's own request log: what was asked with which key from where, and why it was refused. Never anyone else's. */
import { readAccess } from "../directory/access.ts";
import { readLines, type LineFilter, type NumberedLine } from "../directory/request-log.ts";
import type { Clock } from "../domain/clock.ts";
import type { RequestFailure } from "../domain/failure.ts";
import { ok, type Result } from "../domain/result.ts";
import type { Caller } from "./device-answer.ts";
import { LOG_KEPT_MS } from "./request-log.ts";

export interface LogReadTools {
  db: D1Database;
  clock: Clock;
}

export interface RequestsAsked extends Omit<LineFilter, "sinceMs"> {
  sinceMs: number | null;
}

export interface RequestsPage {
  lines: NumberedLine[];
  /** Ask for what is before this number; null when there is no more. */
  nextBefore: number | null;
}

export async function getRequests(
  { db, clock }: LogReadTools,
  caller: Caller,
  asked: RequestsAsked,
): Promise<Result<RequestsPage, RequestFailure>> {
  const nowMs = clock();
  const access = await readAccess(db, { ...caller, waid: null }, nowMs);
  if (!access.ok) return access;
  const sinceMs = Math.max(asked.sinceMs ?? 0, nowMs - LOG_KEPT_MS);
  const { limit } = asked;
  const found = await readLines(db, access.value.accountId, {
    ...asked,
    sinceMs,
    limit: limit + 1,
  });
  const lines = found.slice(0, limit);
  const last = found.length > limit ? lines.at(-1) : undefined;
  return ok({ lines, nextBefore: last?.number ?? null });
}
