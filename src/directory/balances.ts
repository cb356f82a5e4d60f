/** What an account and each of its devices may still spend. Reads only. */
import { askD1 } from "../db/ask.ts";
import { DEVICE_NAMED, NEWEST_PERIOD } from "./access-rules.ts";

export interface AccountMoney {
  availableRupiah: number;
  heldRupiah: number;
  owedRupiah: number;
  creditLimitRupiah: number;
}

export interface DevicePackage {
  waid: string;
  name: string;
  planCode: string | null;
  /** The newest period that has begun; may be over. */
  period: { startsMs: number; endsMs: number; quota: number | null; used: number } | null;
}

const MONEY = "SELECT available, held, owed, credit_limit FROM accounts WHERE id = ?1";

/** ?1 account, ?2 now. */
const PACKAGES = `
SELECT d.waid, d.name, s.plan_code, p.starts_ms, p.ends_ms, p.quota, p.used
FROM accounts a
  JOIN devices d ON ${DEVICE_NAMED}
  LEFT JOIN subscriptions s ON s.device_id = d.id AND s.active = 1
  LEFT JOIN package_periods p ON ${NEWEST_PERIOD}
WHERE a.id = ?1
ORDER BY d.created_ms, d.waid LIMIT 1000`;

interface PackageRow {
  waid: string;
  name: string;
  plan_code: string | null;
  starts_ms: number | null;
  ends_ms: number;
  quota: number | null;
  used: number;
}

interface MoneyRow {
  available: number;
  held: number;
  owed: number;
  credit_limit: number;
}

/** Null when there is no such account. */
export async function balancesOfAccount(
  db: D1Database,
  accountId: number,
  nowMs: number,
): Promise<{ money: AccountMoney; packages: DevicePackage[] } | null> {
  const results = await askD1("account_balances", () =>
    db.batch([db.prepare(MONEY).bind(accountId), db.prepare(PACKAGES).bind(accountId, nowMs)]),
  );
  const [money] = (results[0]?.results ?? []) as MoneyRow[];
  if (money === undefined) return null;
  return {
    money: {
      availableRupiah: money.available,
      heldRupiah: money.held,
      owedRupiah: money.owed,
      creditLimitRupiah: money.credit_limit,
    },
    packages: ((results[1]?.results ?? []) as PackageRow[]).map(devicePackage),
  };
}

function devicePackage(row: PackageRow): DevicePackage {
  const {
    waid,
    name,
    plan_code: planCode,
    starts_ms: startsMs,
    ends_ms: endsMs,
    quota,
    used,
  } = row;
  return {
    waid,
    name,
    planCode,
    period: startsMs === null ? null : { startsMs, endsMs, quota, used },
  };
}
