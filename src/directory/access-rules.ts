/**
 * Who may do what, as SQL fragments over the aliases k (api_keys), a (accounts), d (devices) and p
 * (package_periods). The accepting batch and the reading calls use the same ones, so that an answer and a decision
 * cannot disagree. `?2` is the caller's now in every statement that uses them.
 */
export const KEY_USABLE =
  "(k.revoked = 0 AND coalesce(k.valid_until_ms > ?2, 1) AND a.status = 'active')";

/** A device that was deleted is nobody's; its row keeps its waid taken. */
export const DEVICE_NAMED = "d.account_id = a.id AND d.deleted_ms IS NULL";

/** `address` is an SQL expression: fixed-width hex, or NULL for a caller without an address. */
export function addressAllowed(address: string): string {
  return `(k.any_address = 1 OR EXISTS (
    SELECT 1 FROM address_rules x WHERE x.key_id = k.id AND ${address} BETWEEN x.low AND x.high))`;
}

/** The last valid day is included, in the account's zone. Without a top-up there is none. */
export const BALANCE_VALID =
  "(coalesce(a.balance_expires_on, '') >= date(?2 / 1000 + a.utc_offset_s, 'unixepoch'))";

/** The newest period that has begun; it may be over. */
export const NEWEST_PERIOD = `p.id = (
    SELECT q.id FROM package_periods q
    WHERE q.device_id = d.id AND q.starts_ms <= ?2 ORDER BY q.starts_ms DESC LIMIT 1)`;

export const PERIOD_IN_FORCE = "(p.id IS NOT NULL AND p.ends_ms > ?2)";
