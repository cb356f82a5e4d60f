/** API keys and the addresses that may use them. Only hashes are stored; nobody may use a key until told so. */
import { askD1Once } from "../db/ask.ts";
import type { KeyMode } from "../domain/api-key.ts";
import type { AddressRange } from "../domain/client-address.ts";
import type { MessageCategory } from "../domain/message-status.ts";
import type { TextEncoding } from "../domain/message-text.ts";
import { DAY_MS } from "../domain/zone.ts";

export interface NewApiKey {
  accountId: number;
  hash: string;
  shownPrefix: string;
  mode: KeyMode;
  name: string;
  anyAddress: boolean;
  addresses: AddressRange[];
  encoding: TextEncoding;
  dedupeWindow: boolean;
  defaultCategory: MessageCategory;
  nowMs: number;
}

const ADD_KEY = `
INSERT INTO api_keys (account_id, hash, prefix, name, any_address, encoding, dedupe_window, default_category, created_ms,
  mode)
SELECT a.id, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10 FROM accounts a
WHERE a.id = ?1 AND (
  SELECT count(*) FROM api_keys k
  WHERE k.account_id = a.id AND k.revoked = 0 AND coalesce(k.valid_until_ms > ?9, 1)) < ?11
  AND (SELECT count(*) FROM api_keys k
  WHERE k.account_id = a.id AND k.created_ms > ?9 - ${DAY_MS}) < ?12
RETURNING id`;

const ADD_RULES = `
INSERT INTO address_rules (key_id, low, high)
SELECT k.id, r.value ->> 'low', r.value ->> 'high' FROM json_each(?2) r CROSS JOIN api_keys k ON k.hash = ?1
WHERE true ON CONFLICT DO NOTHING`;

/** How many keys an account may have in use, and make within a day: ended ones stay in the books. */
export interface KeyBounds {
  inUseMax: number;
  aDayMax: number;
}

const UNBOUNDED: KeyBounds = {
  inUseMax: Number.MAX_SAFE_INTEGER,
  aDayMax: Number.MAX_SAFE_INTEGER,
};

/** Answers its id, or null when there is no such account, or it has as many keys as it may. */
export async function createApiKey(
  db: D1Database,
  key: NewApiKey,
  { inUseMax, aDayMax }: KeyBounds = UNBOUNDED,
): Promise<number | null> {
  const results = await askD1Once("create_key", () =>
    db.batch<{ id: number }>([
      db
        .prepare(ADD_KEY)
        .bind(
          key.accountId,
          key.hash,
          key.shownPrefix,
          key.name,
          key.anyAddress ? 1 : 0,
          key.encoding,
          key.dedupeWindow ? 1 : 0,
          key.defaultCategory,
          key.nowMs,
          key.mode,
          inUseMax,
          aDayMax,
        ),
      db.prepare(ADD_RULES).bind(key.hash, JSON.stringify(key.addresses)),
    ]),
  );
  return results[0]?.results[0]?.id ?? null;
}
