/** What an account may spend and what is left of each device's package. No window: it may be asked at any time. */
import { readAccess } from "../directory/access.ts";
import { balancesOfAccount, type AccountMoney, type DevicePackage } from "../directory/balances.ts";
import type { RequestFailure } from "../domain/failure.ts";
import { invariant, ok, type Result } from "../domain/result.ts";
import { localDate, type Zone } from "../domain/zone.ts";
import type { Caller, DeviceTools } from "./device-answer.ts";

export interface PackageView {
  waid: string;
  name: string;
  planCode: string | null;
  /** Null: none, or the last one is over. */
  period: {
    /** Null: unlimited. */
    quota: number | null;
    used: number;
    left: number | null;
    /** Last valid day in the account's zone. */
    expiresOn: string;
  } | null;
}

export interface AccountBalance extends AccountMoney {
  /** What may still be spent; never negative. */
  spendableRupiah: number;
  /** Last valid day; null when nothing was ever topped up. */
  expiresOn: string | null;
  zone: Zone;
  packages: PackageView[];
}

export async function accountBalance(
  tools: Pick<DeviceTools, "db" | "clock">,
  caller: Caller,
): Promise<Result<AccountBalance, RequestFailure>> {
  const nowMs = tools.clock();
  const access = await readAccess(tools.db, { ...caller, waid: null }, nowMs);
  if (!access.ok) return access;
  const { accountId, spendableRupiah, balanceExpiresOn, zone } = access.value;
  const balances = await balancesOfAccount(tools.db, accountId, nowMs);
  invariant(balances !== null, "a caller's account exists");
  return ok({
    ...balances.money,
    spendableRupiah: Math.max(0, spendableRupiah),
    expiresOn: balanceExpiresOn,
    zone,
    packages: balances.packages.map((one) => packageView(one, zone, nowMs)),
  });
}

function packageView(
  { waid, name, planCode, period }: DevicePackage,
  zone: Zone,
  nowMs: number,
): PackageView {
  if (period === null || period.endsMs <= nowMs) return { waid, name, planCode, period: null };
  const { quota, used, endsMs } = period;
  const left = quota === null ? null : Math.max(0, quota - used);
  const expiresOn = localDate(endsMs - 1, zone);
  return { waid, name, planCode, period: { quota, used, left, expiresOn } };
}
