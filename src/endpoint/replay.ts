/**
 * Puts ended events back into the queue, and lists the dead ones. A portion a call, so that a long list costs neither
 * memory nor a long transaction; never more than the queue has room for. Must run inside a transaction.
 */
import { unreachable } from "../domain/result.ts";
import type { DeadLetterView, DeadReason, Page, ReplayReceipt, ReplayScope } from "./interface.ts";
import type { Queue } from "./queue.ts";

const PORTION_MAX = 1_000;
const PAGE_MAX = 100;

interface EndedRow {
  n: number;
  orderKey: string;
  bytes: number;
  state: "delivered" | "dead";
}

type DeadRow = {
  n: number;
  eventId: string;
  type: string;
  atMs: number;
  deadMs: number;
  reason: DeadReason;
  attempts: number;
  replayable: number;
};

const ENDED = `SELECT n, order_key AS orderKey, bytes, state FROM events
  WHERE state IN ('delivered', 'dead') AND data IS NOT NULL`;

export function replay(
  sql: SqlStorage,
  queue: Queue,
  request: { scope: ReplayScope; cursor: number | null; room: number },
  nowMs: number,
): ReplayReceipt {
  const cursor = request.cursor ?? 0;
  const limit = Math.min(PORTION_MAX, request.room);
  if (limit === 0) return { queued: 0, nextCursor: cursor };
  const rows = endedRows(sql, request.scope, cursor, limit);
  for (const row of rows) queue.again(row, row.state, nowMs);
  return {
    queued: rows.length,
    nextCursor: rows.length === limit ? (rows.at(-1)?.n ?? null) : null,
  };
}

function endedRows(sql: SqlStorage, scope: ReplayScope, cursor: number, limit: number): EndedRow[] {
  const ask = (condition: string, ...values: (string | number)[]): EndedRow[] =>
    sql
      .exec<EndedRow & Record<string, SqlStorageValue>>(
        `${ENDED} AND ${condition} AND n > ? ORDER BY n LIMIT ?`,
        ...values,
        cursor,
        limit,
      )
      .toArray();
  switch (scope.kind) {
    case "event":
      return ask("id = ?", scope.eventId);
    case "range":
      return ask("at_ms BETWEEN ? AND ?", scope.fromMs, scope.toMs);
    case "failed":
      return ask("state = 'dead'");
    default:
      return unreachable(scope);
  }
}

/** Newest first. */
export function deadLetters(sql: SqlStorage, cursor: number | null): Page<DeadLetterView> {
  const rows = sql
    .exec<DeadRow>(
      `SELECT n, id AS eventId, type, at_ms AS atMs, ended_ms AS deadMs, dead_reason AS reason,
         attempts, data IS NOT NULL AS replayable
       FROM events WHERE state = 'dead' AND n < ? ORDER BY n DESC LIMIT ?`,
      cursor ?? Number.MAX_SAFE_INTEGER,
      PAGE_MAX + 1,
    )
    .toArray();
  const shown = rows.slice(0, PAGE_MAX);
  return {
    items: shown.map(({ eventId, type, atMs, deadMs, reason, attempts, replayable }) => ({
      eventId,
      type,
      atMs,
      deadMs,
      reason,
      attempts,
      replayable: replayable === 1,
    })),
    nextCursor: rows.length > PAGE_MAX ? (shown.at(-1)?.n ?? null) : null,
  };
}
