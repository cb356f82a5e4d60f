/**
 * Package periods: who has one, and the next one made before the present one ends. A period's bounds, cap and
 * price are fixed when it is made. Fees are not taken here.
 */
import { askD1 } from "../db/ask.ts";
import type { Zone } from "../domain/zone.ts";
import { DAY_MS, localDayOfMonth, nextAnniversaryMs, startOfLocalDayMs } from "../domain/zone.ts";

/** How long before its start the next period is made. */
const AHEAD_MS = 3 * DAY_MS;

const TARIFF_AT = `(SELECT t.price_rupiah FROM tariffs t WHERE t.item = 'message' AND t.starts_ms <= ?3
  ORDER BY t.starts_ms DESC LIMIT 1)`;

const SUBSCRIBE = `
INSERT INTO subscriptions (device_id, plan_code, anchor_day, created_ms) VALUES (?1, ?2, ?3, ?4)
ON CONFLICT (device_id) DO NOTHING`;

const ADD_PERIOD = `
INSERT INTO package_periods (subscription_id, device_id, starts_ms, ends_ms, quota, price_rupiah)
SELECT s.id, s.device_id, ?3, ?2, pl.quota, ${TARIFF_AT}
FROM subscriptions s JOIN plans pl ON pl.code = s.plan_code WHERE s.device_id = ?1 AND s.active = 1
ON CONFLICT (device_id, starts_ms) DO NOTHING`;

/** Statements that give a new device its package from today on; for the batch that creates the device. */
export function subscribeStatements(
  db: D1Database,
  subscription: { deviceId: string; planCode: string; zone: Zone; nowMs: number },
): D1PreparedStatement[] {
  const { deviceId, planCode, zone, nowMs } = subscription;
  const anchorDay = localDayOfMonth(nowMs, zone);
  const startsMs = startOfLocalDayMs(nowMs, zone);
  const endsMs = nextAnniversaryMs(nowMs, anchorDay, zone);
  return [
    db.prepare(SUBSCRIBE).bind(deviceId, planCode, anchorDay, nowMs),
    db.prepare(ADD_PERIOD).bind(deviceId, endsMs, startsMs),
  ];
}

const ENDING_SOON = `
SELECT s.device_id, s.anchor_day, a.zone, max(p.ends_ms) AS ends_ms
FROM subscriptions s
  JOIN devices d ON d.id = s.device_id
  JOIN accounts a ON a.id = d.account_id
  JOIN package_periods p ON p.device_id = s.device_id
WHERE s.active = 1 AND s.id > ?1 AND s.id <= ?2
GROUP BY s.id HAVING max(p.ends_ms) < ?3
ORDER BY s.id`;

interface EndingRow {
  device_id: string;
  anchor_day: number;
  zone: Zone;
  ends_ms: number;
}

/** Makes the missing periods of the subscriptions with ids in `(after, upTo]`; answers how many it made. */
export async function addNextPeriods(
  db: D1Database,
  range: { after: number; upTo: number },
  nowMs: number,
): Promise<number> {
  const ending = await askD1("find_ending_periods", () =>
    db
      .prepare(ENDING_SOON)
      .bind(range.after, range.upTo, nowMs + AHEAD_MS)
      .all<EndingRow>(),
  );
  const statements = ending.results.map((row) =>
    db
      .prepare(ADD_PERIOD)
      .bind(row.device_id, nextAnniversaryMs(row.ends_ms, row.anchor_day, row.zone), row.ends_ms),
  );
  if (statements.length > 0) await askD1("add_periods", () => db.batch(statements));
  return statements.length;
}
