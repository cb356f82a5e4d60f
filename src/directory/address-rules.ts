/** Adding one range to the addresses that may use a key. Repeating it changes nothing. */
import { askD1 } from "../db/ask.ts";
import type { AddressRange } from "../domain/client-address.ts";

const ADD = `
INSERT INTO address_rules (key_id, low, high)
SELECT k.id, ?3, ?4 FROM api_keys k WHERE k.id = ?2 AND k.account_id = ?1 AND k.revoked = 0
ON CONFLICT DO NOTHING`;

const IS_THERE = `
SELECT 1 AS there FROM address_rules x JOIN api_keys k ON k.id = x.key_id
WHERE k.id = ?2 AND k.account_id = ?1 AND k.revoked = 0 AND x.low = ?3 AND x.high = ?4`;

export interface AddressToAllow {
  accountId: number;
  keyId: number;
  range: AddressRange;
}

/** False when the account has no such key that is in use. */
export async function allowAddress(
  db: D1Database,
  { accountId, keyId, range }: AddressToAllow,
): Promise<boolean> {
  const values = [accountId, keyId, range.low, range.high];
  const results = await askD1("allow_address", () =>
    db.batch([db.prepare(ADD).bind(...values), db.prepare(IS_THERE).bind(...values)]),
  );
  return results[1]?.results.length === 1;
}
