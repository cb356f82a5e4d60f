/**
 * The request log in D1: lines of known keys go to their account, those of keys that nobody has to the operator's
 * list, and what an old client never reads becomes an account event. One batch for all the lines that an isolate
 * gathered. Holds no message text, no recipient's number and no key. Who may read is decided by the caller.
 */
import { askD1, askD1Once } from "../db/ask.ts";
import type { AddressRange } from "../domain/client-address.ts";
import { KEY_USABLE } from "./access-rules.ts";

/** Why something was refused, in the words of the failure unions, and the code that the client was given. */
export interface LoggedRefusal {
  reason: string;
  code: string;
  count: number;
}

/** As D1 keeps it. */
export interface LoggedLine {
  /** The request id that the client was given. */
  id: string;
  at: number;
  /** Fixed-width hex; empty when the platform named none. */
  address: string;
  endpoint: string;
  code: string;
  /** Absent when nothing was refused. */
  why?: LoggedRefusal[];
  accepted: number;
  refused: number;
  ms: number;
  /** The key came over plain http. */
  plain_http?: true;
}

export interface LineToLog {
  keyHash: string;
  /** As much of the key as may be shown; for a key that nobody has there is no other trace of it. */
  keyPrefix: string;
  /** For the operator's list: the address, or the /64 of an IPv6 one. */
  network: string;
  /** The client is of the kind that does not read refusals. */
  isUnread: boolean;
  /** The key is not known, or was not looked up. */
  isStranger: boolean;
  /** Counted like any, but not among its account's lines. */
  isOmitted?: true;
  line: LoggedLine;
}

/** What the wire must not tell a stranger, the owner of the key may know. */
const REASON_FOR_OWNER = `CASE
  WHEN l.value ->> '$.line.why[0].reason' <> 'key_unknown' THEN l.value ->> '$.line.why[0].reason'
  WHEN a.status <> 'active' THEN 'account_suspended'
  WHEN NOT ${KEY_USABLE} THEN 'key_revoked'
  WHEN l.value ->> '$.line.endpoint' GLOB '*/sms/*' THEN 'device_unknown'
  ELSE 'key_unknown' END`;

/** ?1 lines as a JSON array, ?2 now. */
const WRITE_LINES = `
INSERT INTO request_log (account_id, last_line, line_count, at_ms, lines)
SELECT named.account_id,
  coalesce((SELECT max(p.last_line) FROM request_log p WHERE p.account_id = named.account_id), 0) + count(*),
  count(*), max(named.at_ms), json_group_array(json(named.line) ORDER BY named.n)
FROM (
  SELECT l.key AS n, k.account_id, l.value ->> '$.line.at' AS at_ms,
    json_replace(json_set(l.value -> 'line', '$.key', k.id), '$.why[0].reason', ${REASON_FOR_OWNER}) AS line
  FROM json_each(?1) l
    JOIN api_keys k ON k.hash = l.value ->> 'keyHash'
    JOIN accounts a ON a.id = k.account_id
  WHERE l.value ->> 'isOmitted' IS NULL
) named
GROUP BY named.account_id`;

const WRITE_UNKNOWN = `
INSERT INTO unknown_key_requests (hour_ms, address, request_count, last_ms, key_prefix, endpoint, request_id)
SELECT (l.value ->> '$.line.at') / 3600000 * 3600000 AS hour_ms, l.value ->> 'network' AS network, count(*),
  max(l.value ->> '$.line.at'), l.value ->> 'keyPrefix', l.value ->> '$.line.endpoint', l.value ->> '$.line.id'
FROM json_each(?1) l LEFT JOIN api_keys k ON k.hash = l.value ->> 'keyHash'
WHERE k.id IS NULL
GROUP BY 1, 2
ON CONFLICT (hour_ms, address) DO UPDATE SET request_count = request_count + excluded.request_count,
  last_ms = excluded.last_ms, key_prefix = excluded.key_prefix, endpoint = excluded.endpoint,
  request_id = excluded.request_id`;

const WRITE_EVENTS = `
INSERT INTO account_events (account_id, id, type, subject, hour_ms, at_ms, data)
SELECT r.account_id,
  max(?2 * 1000, coalesce((SELECT max(e.id) + 1 FROM account_events e WHERE e.account_id = r.account_id), 0))
    + row_number() OVER (PARTITION BY r.account_id ORDER BY r.hour_ms, r.reason) - 1,
  'account.refusals', r.reason, r.hour_ms, r.at_ms,
  json_object('reason', r.reason, 'code', r.code, 'count', r.refused + coalesce(
    (SELECT sum(e.data ->> 'count') FROM account_events e
     WHERE e.account_id = r.account_id AND e.id >= r.hour_ms * 1000 AND e.type = 'account.refusals'
       AND e.subject = r.reason AND e.hour_ms = r.hour_ms), 0))
FROM (
  SELECT k.account_id, why.value ->> 'reason' AS reason, max(why.value ->> 'code') AS code,
    (l.value ->> '$.line.at') / 3600000 * 3600000 AS hour_ms, max(l.value ->> '$.line.at') AS at_ms,
    sum(why.value ->> 'count') AS refused
  FROM json_each(?1) l
    JOIN api_keys k ON k.hash = l.value ->> 'keyHash' AND k.mode = 'live'
    JOIN json_each(l.value, '$.line.why') why
  WHERE l.value ->> 'isUnread'
  GROUP BY 1, 2, 4
) r`;

/** One row an account; one more for what only some lines need. Not repeatable: a second call writes twice. */
export async function writeLines(db: D1Database, lines: LineToLog[], nowMs: number): Promise<void> {
  const all = JSON.stringify(lines);
  const statements = [db.prepare(WRITE_LINES).bind(all, nowMs)];
  if (lines.some(({ isStranger, line }) => isStranger || line.why?.[0]?.reason === "key_unknown")) {
    statements.push(db.prepare(WRITE_UNKNOWN).bind(all));
  }
  if (lines.some(({ isUnread, line }) => isUnread && line.why !== undefined)) {
    statements.push(db.prepare(WRITE_EVENTS).bind(all, nowMs));
  }
  await askD1Once("write_request_log", () => db.batch(statements));
}

export interface LineFilter {
  /** Lines below this number; null for the newest. */
  before: number | null;
  sinceMs: number;
  untilMs: number | null;
  requestId: string | null;
  /** A code that the request or one of its packets was given, or a reason. */
  code: string | null;
  keyPrefix: string | null;
  address: AddressRange | null;
  refusalsOnly: boolean;
  limit: number;
}

export interface NumberedLine {
  /** Counts up within the account. */
  number: number;
  keyId: number;
  keyPrefix: string;
  keyName: string;
  line: LoggedLine;
}

/**
 * ?1 account, ?2 before, ?3 since, ?4 until, ?5 request id, ?6 code, ?7 key prefix, ?8 and ?9 address, ?10 refusals
 * only, ?11 lines, ?12 rows looked at.
 */
const READ_LINES = `
SELECT c.last_line - c.line_count + 1 + l.key AS number, l.value AS line, k.id AS key_id, k.prefix, k.name
FROM (
    SELECT * FROM request_log r
    WHERE r.account_id = ?1 AND r.at_ms >= ?3 AND (?2 IS NULL OR r.last_line - r.line_count + 1 < ?2)
    ORDER BY r.last_line DESC LIMIT ?12) c
  CROSS JOIN json_each(c.lines) l
  CROSS JOIN api_keys k ON k.id = l.value ->> 'key'
WHERE (?2 IS NULL OR c.last_line - c.line_count + 1 + l.key < ?2)
  AND l.value ->> 'at' >= ?3 AND (?4 IS NULL OR l.value ->> 'at' < ?4)
  AND (?5 IS NULL OR l.value ->> 'id' = ?5)
  AND (?6 IS NULL OR l.value ->> 'code' = ?6 OR EXISTS (
    SELECT 1 FROM json_each(l.value, '$.why') w WHERE w.value ->> 'code' = ?6 OR w.value ->> 'reason' = ?6))
  AND (?7 IS NULL OR substr(k.prefix, 1, length(?7)) = ?7)
  AND (?8 IS NULL OR l.value ->> 'address' BETWEEN ?8 AND ?9)
  AND (NOT ?10 OR l.value -> 'why' IS NOT NULL)
ORDER BY number DESC LIMIT ?11`;

/** As many as an account can have. */
const ROWS_MAX = 10_001;

/** Each row has a line at least, so a page of the newest needs no more rows than lines. */
function isNewestOnly(filter: LineFilter): boolean {
  const { untilMs, requestId, code, keyPrefix, address, refusalsOnly } = filter;
  const asked = [untilMs, requestId, code, keyPrefix, address];
  return !refusalsOnly && asked.every((wish) => wish === null);
}

interface LineRow {
  number: number;
  line: string;
  key_id: number;
  prefix: string;
  name: string;
}

/** Newest first. A search looks at all lines of the account, of which there are 10,000 at most. */
export async function readLines(
  db: D1Database,
  accountId: number,
  filter: LineFilter,
): Promise<NumberedLine[]> {
  const { before, sinceMs, untilMs, requestId, code, keyPrefix, address, refusalsOnly } = filter;
  const { results } = await askD1("read_request_log", () =>
    db
      .prepare(READ_LINES)
      .bind(
        accountId,
        before,
        sinceMs,
        untilMs,
        requestId,
        code,
        keyPrefix,
        address?.low ?? null,
        address?.high ?? null,
        refusalsOnly ? 1 : 0,
        filter.limit,
        isNewestOnly(filter) ? filter.limit : ROWS_MAX,
      )
      .all<LineRow>(),
  );
  return results.map(({ number, line, key_id: keyId, prefix, name }) => ({
    number,
    keyId,
    keyPrefix: prefix,
    keyName: name,
    line: JSON.parse(line) as LoggedLine,
  }));
}
