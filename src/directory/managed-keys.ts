/**
 * API keys as their account sees and changes them. Every statement names the account, so that a key of another one
 * is not there. Keys themselves are nowhere: only hashes are stored.
 */
import { askD1, askD1Once } from "../db/ask.ts";
import type { KeyMode } from "../domain/api-key.ts";
import type { AddressRange } from "../domain/client-address.ts";
import type { MessageCategory } from "../domain/message-status.ts";
import type { TextEncoding } from "../domain/message-text.ts";
import { DAY_MS } from "../domain/zone.ts";
import type { KeyBounds } from "./api-keys.ts";

export interface KeyRef {
  accountId: number;
  keyId: number;
}

export interface ManagedKey {
  id: number;
  name: string;
  /** As much of it as may be shown. */
  prefix: string;
  mode: KeyMode;
  revoked: boolean;
  /** Null: until it is revoked. */
  validUntilMs: number | null;
  anyAddress: boolean;
  addresses: AddressRange[];
  encoding: TextEncoding;
  dedupeWindow: boolean;
  defaultCategory: MessageCategory;
  createdMs: number;
}

interface KeyRow {
  id: number;
  name: string;
  prefix: string;
  mode: KeyMode;
  revoked: number;
  valid_until_ms: number | null;
  any_address: number;
  addresses: string;
  encoding: TextEncoding;
  dedupe_window: number;
  default_category: MessageCategory;
  created_ms: number;
}

/** Answers of a listing: more than an account may have in use, so that ended ones are seen too. */
const LISTED_MAX = 1_000;

/** ?1 account, ?2 key or null for all. */
const READ_KEYS = `
SELECT k.id, k.name, k.prefix, k.mode, k.revoked, k.valid_until_ms, k.any_address, k.encoding, k.dedupe_window,
  k.default_category, k.created_ms,
  (SELECT json_group_array(json_object('low', x.low, 'high', x.high) ORDER BY x.low, x.high)
   FROM address_rules x WHERE x.key_id = k.id) AS addresses
FROM api_keys k
WHERE k.account_id = ?1 AND (?2 IS NULL OR k.id = ?2)
ORDER BY k.id DESC LIMIT ${LISTED_MAX}`;

/** Newest first. */
export async function keysOfAccount(db: D1Database, accountId: number): Promise<ManagedKey[]> {
  return readKeys(db, accountId, null);
}

/** Null also when it is another account's. */
export async function keyOfAccount(db: D1Database, ref: KeyRef): Promise<ManagedKey | null> {
  const [key] = await readKeys(db, ref.accountId, ref.keyId);
  return key ?? null;
}

async function readKeys(
  db: D1Database,
  accountId: number,
  keyId: number | null,
): Promise<ManagedKey[]> {
  const { results } = await askD1("read_keys", () =>
    db.prepare(READ_KEYS).bind(accountId, keyId).all<KeyRow>(),
  );
  return results.map((row) => ({
    id: row.id,
    name: row.name,
    prefix: row.prefix,
    mode: row.mode,
    revoked: row.revoked === 1,
    validUntilMs: row.valid_until_ms,
    anyAddress: row.any_address === 1,
    addresses: JSON.parse(row.addresses) as AddressRange[],
    encoding: row.encoding,
    dedupeWindow: row.dedupe_window === 1,
    defaultCategory: row.default_category,
    createdMs: row.created_ms,
  }));
}

export interface KeySettings {
  name: string | null;
  encoding: TextEncoding | null;
  dedupeWindow: boolean | null;
  defaultCategory: MessageCategory | null;
}

const CHANGE_KEY = `
UPDATE api_keys SET name = coalesce(?3, name), encoding = coalesce(?4, encoding),
  dedupe_window = coalesce(?5, dedupe_window), default_category = coalesce(?6, default_category)
WHERE id = ?2 AND account_id = ?1`;

/** What is null stays as it is. */
export async function changeKey(
  db: D1Database,
  { accountId, keyId }: KeyRef,
  { name, encoding, dedupeWindow, defaultCategory }: KeySettings,
): Promise<void> {
  const window = dedupeWindow === null ? null : Number(dedupeWindow);
  await askD1("change_key", () =>
    db.prepare(CHANGE_KEY).bind(accountId, keyId, name, encoding, window, defaultCategory).run(),
  );
}

const DROP_RULES = `
DELETE FROM address_rules
WHERE key_id = (SELECT k.id FROM api_keys k WHERE k.id = ?2 AND k.account_id = ?1)`;
const ADD_RULES = `
INSERT INTO address_rules (key_id, low, high)
SELECT k.id, r.value ->> 'low', r.value ->> 'high'
FROM json_each(?3) r CROSS JOIN api_keys k ON k.id = ?2 AND k.account_id = ?1
WHERE true ON CONFLICT DO NOTHING`;
const SET_ANY_ADDRESS =
  "UPDATE api_keys SET any_address = ?3 WHERE id = ?2 AND account_id = ?1 AND any_address <> ?3";

/** All at once: nobody meets half a list. */
export async function replaceAddresses(
  db: D1Database,
  { accountId, keyId }: KeyRef,
  { addresses, anyAddress }: { addresses: AddressRange[]; anyAddress: boolean },
): Promise<void> {
  await askD1("replace_addresses", () =>
    db.batch([
      db.prepare(DROP_RULES).bind(accountId, keyId),
      db.prepare(ADD_RULES).bind(accountId, keyId, JSON.stringify(addresses)),
      db.prepare(SET_ANY_ADDRESS).bind(accountId, keyId, Number(anyAddress)),
    ]),
  );
}

/** For good: there is no way back. */
export async function revokeKey(db: D1Database, { accountId, keyId }: KeyRef): Promise<void> {
  await askD1("revoke_key", () =>
    db
      .prepare("UPDATE api_keys SET revoked = 1 WHERE id = ?2 AND account_id = ?1 AND revoked = 0")
      .bind(accountId, keyId)
      .run(),
  );
}

const ADD_SUCCESSOR = `
INSERT INTO api_keys (account_id, hash, prefix, mode, name, any_address, encoding, dedupe_window, default_category,
  created_ms)
SELECT account_id, ?3, ?4, mode, name, any_address, encoding, dedupe_window, default_category, ?5
FROM api_keys k
WHERE k.id = ?2 AND k.account_id = ?1 AND k.revoked = 0 AND coalesce(k.valid_until_ms > ?5, 1)
  AND (SELECT count(*) FROM api_keys o WHERE o.account_id = ?1 AND o.revoked = 0
    AND coalesce(o.valid_until_ms > ?5, 1)) < ?6
  AND (SELECT count(*) FROM api_keys o WHERE o.account_id = ?1 AND o.created_ms > ?5 - ${DAY_MS}) < ?7
RETURNING id`;
const COPY_RULES = `
INSERT INTO address_rules (key_id, low, high)
SELECT n.id, x.low, x.high FROM api_keys n CROSS JOIN address_rules x ON x.key_id = ?2
WHERE n.hash = ?3 AND n.account_id = ?1`;
const END_PREDECESSOR = `
UPDATE api_keys SET valid_until_ms = min(coalesce(valid_until_ms, ?4), ?4)
WHERE id = ?2 AND account_id = ?1
  AND EXISTS (SELECT 1 FROM api_keys n WHERE n.hash = ?3 AND n.account_id = ?1)`;

export interface Successor {
  hash: string;
  shownPrefix: string;
  nowMs: number;
  /** The old key ends then. */
  oldValidUntilMs: number;
  bounds: KeyBounds;
}

/** A new key like the old one, and an end for the old one, together. Null when there may be no more keys. */
export async function replaceKey(
  db: D1Database,
  { accountId, keyId }: KeyRef,
  { hash, shownPrefix, nowMs, oldValidUntilMs, bounds }: Successor,
): Promise<number | null> {
  const results = await askD1Once("replace_key", () =>
    db.batch<{ id: number }>([
      db
        .prepare(ADD_SUCCESSOR)
        .bind(accountId, keyId, hash, shownPrefix, nowMs, bounds.inUseMax, bounds.aDayMax),
      db.prepare(COPY_RULES).bind(accountId, keyId, hash),
      db.prepare(END_PREDECESSOR).bind(accountId, keyId, hash, oldValidUntilMs),
    ]),
  );
  return results[0]?.results[0]?.id ?? null;
}
