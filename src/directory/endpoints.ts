/**
 * Customers' webhooks as D1 knows them: where they point and what they want. Every statement names the account, so that
 * another one's is not there. Secrets, queues and attempts are known to the endpoint's object alone.
 */
import { askD1, askD1Once } from "../db/ask.ts";
import type { EventType } from "../domain/event.ts";

export interface EndpointWish {
  url: string;
  format: "form" | "json";
  /** Exactly for forms. */
  kind: "inbox" | "tracking" | null;
  /** Null: all. */
  types: EventType[] | null;
  /** Ids of devices; null: all. */
  devices: string[] | null;
  allowHttp: boolean;
  enabled: boolean;
}

export interface EndpointRow extends EndpointWish {
  id: string;
  accountId: number;
  createdMs: number;
}

/** A row, and how long its account keeps texts. */
export interface KeptEndpoint extends EndpointRow {
  textsKeptMs: number;
}

interface StoredEndpoint {
  id: string;
  account_id: number;
  url: string;
  format: "form" | "json";
  kind: "inbox" | "tracking" | null;
  types: string | null;
  devices: string | null;
  allow_http: number;
  enabled: number;
  created_ms: number;
  texts_kept_days: number;
}

const DAY_MS = 24 * 3_600_000;

/** ?1 account, ?2 endpoint or null for all. */
const READ = `
SELECT e.id, e.account_id, e.url, e.format, e.kind, e.types, e.devices, e.allow_http, e.enabled, e.created_ms,
  a.texts_kept_days
FROM endpoints e JOIN accounts a ON a.id = e.account_id
WHERE e.account_id = ?1 AND e.deleted_ms IS NULL AND (?2 IS NULL OR e.id = ?2)
ORDER BY e.created_ms, e.id`;

/** What happened to the account before is not told. */
const ADD = `
INSERT INTO endpoints (id, account_id, url, format, kind, types, devices, allow_http, enabled, created_ms, account_after)
SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10,
  max(?10 * 1000, coalesce((SELECT max(v.id) FROM account_events v WHERE v.account_id = ?2), 0))
WHERE (SELECT count(*) FROM endpoints e WHERE e.account_id = ?2 AND e.deleted_ms IS NULL) < ?11`;

const CHANGE = `
UPDATE endpoints SET url = ?3, types = ?4, devices = ?5, allow_http = ?6, enabled = ?7
WHERE id = ?1 AND account_id = ?2 AND deleted_ms IS NULL`;

const MARK_DELETED = `
UPDATE endpoints SET deleted_ms = ?3 WHERE id = ?1 AND account_id = ?2 AND deleted_ms IS NULL`;

const FORGET = "DELETE FROM endpoints WHERE id = ?1 AND deleted_ms IS NOT NULL";

const DELETED = `
SELECT id AS endpointId, account_id AS accountId FROM endpoints WHERE deleted_ms IS NOT NULL LIMIT ?1`;

/** In the order in which they were made. */
export async function endpointsOfAccount(
  db: D1Database,
  accountId: number,
): Promise<KeptEndpoint[]> {
  return read(db, accountId, null);
}

/** Null also when it is another account's. */
export async function endpointOfAccount(
  db: D1Database,
  accountId: number,
  id: string,
): Promise<KeptEndpoint | null> {
  return (await read(db, accountId, id))[0] ?? null;
}

/** False when the account has as many as it may. */
export async function addEndpoint(
  db: D1Database,
  row: EndpointRow,
  countMax: number,
): Promise<boolean> {
  const added = await askD1Once("add_endpoint", () =>
    db
      .prepare(ADD)
      .bind(
        row.id,
        row.accountId,
        row.url,
        row.format,
        row.kind,
        listOrNull(row.types),
        listOrNull(row.devices),
        Number(row.allowHttp),
        Number(row.enabled),
        row.createdMs,
        countMax,
      )
      .run(),
  );
  return added.meta.changes > 0;
}

export async function changeEndpoint(db: D1Database, row: EndpointRow): Promise<void> {
  await askD1("change_endpoint", () =>
    db
      .prepare(CHANGE)
      .bind(
        row.id,
        row.accountId,
        row.url,
        listOrNull(row.types),
        listOrNull(row.devices),
        Number(row.allowHttp),
        Number(row.enabled),
      )
      .run(),
  );
}

/** The row goes once its object is closed. */
export async function markEndpointDeleted(
  db: D1Database,
  accountId: number,
  id: string,
  nowMs: number,
): Promise<void> {
  await askD1("delete_endpoint", () => db.prepare(MARK_DELETED).bind(id, accountId, nowMs).run());
}

export async function forgetEndpoint(db: D1Database, id: string): Promise<void> {
  await askD1("forget_endpoint", () => db.prepare(FORGET).bind(id).run());
}

/** Deleted, and perhaps not closed yet. */
export async function deletedEndpoints(
  db: D1Database,
  countMax: number,
): Promise<{ endpointId: string; accountId: number }[]> {
  const { results } = await askD1("deleted_endpoints", () =>
    db.prepare(DELETED).bind(countMax).all<{ endpointId: string; accountId: number }>(),
  );
  return results;
}

async function read(db: D1Database, accountId: number, id: string | null): Promise<KeptEndpoint[]> {
  const { results } = await askD1("read_endpoints", () =>
    db.prepare(READ).bind(accountId, id).all<StoredEndpoint>(),
  );
  return results.map((row) => ({
    id: row.id,
    accountId: row.account_id,
    url: row.url,
    format: row.format,
    kind: row.kind,
    types: parsedOrNull(row.types) as EventType[] | null,
    devices: parsedOrNull(row.devices),
    allowHttp: row.allow_http === 1,
    enabled: row.enabled === 1,
    createdMs: row.created_ms,
    textsKeptMs: row.texts_kept_days * DAY_MS,
  }));
}

function listOrNull(list: readonly string[] | null): string | null {
  return list === null ? null : JSON.stringify(list);
}

function parsedOrNull(text: string | null): string[] | null {
  return text === null ? null : (JSON.parse(text) as string[]);
}
