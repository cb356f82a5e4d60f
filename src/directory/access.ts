/**
 * Reading who a caller is: key, account, and the device and package named, checked by the same rules as the
 * accepting batch, in one read. Writes nothing and remembers nothing.
 */
import { askD1 } from "../db/ask.ts";
import type { KeyMode } from "../domain/api-key.ts";
import type { DeviceStatus } from "../domain/device-status.ts";
import type { RequestFailure } from "../domain/failure.ts";
import { err, ok, type Result } from "../domain/result.ts";
import type { TextsKept } from "../domain/texts-kept.ts";
import type { Zone } from "../domain/zone.ts";
import { addressAllowed, DEVICE_NAMED, KEY_USABLE, NEWEST_PERIOD } from "./access-rules.ts";
import type { DeviceRow } from "./devices.ts";

export interface AccessRequest {
  keyHash: string;
  address: string | null;
  /** Null when the call names no device. */
  waid: string | null;
}

export interface Access {
  keyId: number;
  keyMode: KeyMode;
  accountId: number;
  zone: Zone;
  /** Available plus credit limit. */
  spendableRupiah: number;
  balanceExpiresOn: string | null;
  /** Null when none is named, or it is not this account's. */
  device: DeviceRow | null;
  /** The newest that has begun; may be over. Null quota: unlimited. */
  period: { endsMs: number; quota: number | null; used: number } | null;
}

interface AccessRow {
  key_id: number;
  mode: KeyMode;
  address_allowed: number;
  account_id: number;
  zone: Zone;
  spendable: number;
  balance_expires_on: string | null;
  device_id: string | null;
  waid: string;
  name: string;
  status: DeviceStatus;
  phone: string | null;
  texts_kept: TextsKept;
  ends_ms: number | null;
  quota: number | null;
  used: number;
}

/** ?1 key hash, ?2 now, ?3 address, ?4 waid. */
const READ_ACCESS = `
SELECT k.id AS key_id, k.mode, ${addressAllowed("?3")} AS address_allowed, a.id AS account_id, a.zone,
  a.available + a.credit_limit AS spendable, a.balance_expires_on,
  d.id AS device_id, d.waid, d.name, d.status, d.phone, d.texts_kept, p.ends_ms, p.quota, p.used
FROM api_keys k
  JOIN accounts a ON a.id = k.account_id
  LEFT JOIN devices d ON d.waid = ?4 AND ${DEVICE_NAMED}
  LEFT JOIN package_periods p ON ${NEWEST_PERIOD}
WHERE k.hash = ?1 AND ${KEY_USABLE}`;

export async function readAccess(
  db: D1Database,
  request: AccessRequest,
  nowMs: number,
): Promise<Result<Access, RequestFailure>> {
  const { keyHash, address, waid } = request;
  const row = await askD1("read_access", () =>
    db.prepare(READ_ACCESS).bind(keyHash, nowMs, address, waid).first<AccessRow>(),
  );
  if (row === null) return err({ reason: "key_unknown" });
  // A wrong device counts before a wrong address, as in the accepting batch.
  if (waid !== null && row.device_id === null) return err({ reason: "device_unknown" });
  if (row.address_allowed !== 1) {
    return err({ reason: "address_not_allowed", address: address ?? "" });
  }
  return ok({
    keyId: row.key_id,
    keyMode: row.mode,
    accountId: row.account_id,
    zone: row.zone,
    spendableRupiah: row.spendable,
    balanceExpiresOn: row.balance_expires_on,
    device: deviceOf(row),
    period: row.ends_ms === null ? null : { endsMs: row.ends_ms, quota: row.quota, used: row.used },
  });
}

function deviceOf(row: AccessRow): DeviceRow | null {
  if (row.device_id === null) return null;
  const { device_id: deviceId, account_id: accountId, texts_kept: textsKept } = row;
  const { waid, name, status, phone } = row;
  return { deviceId, accountId, waid, name, status, phone, textsKept };
}
