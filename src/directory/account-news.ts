/**
 * An account's own events on their way to its endpoints: how far each endpoint has them, and who brings them at the
 * moment. Rows only; the calls are the gateway's.
 */
import { askD1, askD1Once } from "../db/ask.ts";

/** An endpoint with account events that it has not heard of. */
export interface BehindEndpoint {
  endpointId: string;
  accountId: number;
  /** The last account event it has. */
  after: number;
  /** Ids of the devices it is told of; null: all. */
  devices: string[] | null;
}

/** Forms have a body for what became of a test message only, and drop the others. ?1 account or null for all, ?2 now, ?3 rows. */
const BEHIND = `
SELECT e.id, e.account_id, e.account_after, e.devices FROM endpoints e
WHERE (e.format = 'json' OR e.kind = 'tracking') AND e.deleted_ms IS NULL AND e.pumped_until_ms < ?2 AND (?1 IS NULL OR e.account_id = ?1)
  AND EXISTS (SELECT 1 FROM account_events v WHERE v.account_id = e.account_id AND v.id > e.account_after)
LIMIT ?3`;

/** One bringer at a time: two might give the same number to different events. */
const CLAIM = "UPDATE endpoints SET pumped_until_ms = ?3 WHERE id = ?1 AND pumped_until_ms < ?2";

const MOVE = `
UPDATE endpoints SET account_after = ?2, pumped_until_ms = 0 WHERE id = ?1`;

interface BehindRow {
  id: string;
  account_id: number;
  account_after: number;
  devices: string | null;
}

export async function endpointsBehind(
  db: D1Database,
  accountId: number | null,
  nowMs: number,
  countMax: number,
): Promise<BehindEndpoint[]> {
  const { results } = await askD1("endpoints_behind", () =>
    db.prepare(BEHIND).bind(accountId, nowMs, countMax).all<BehindRow>(),
  );
  return results.map((row) => ({
    endpointId: row.id,
    accountId: row.account_id,
    after: row.account_after,
    devices: row.devices === null ? null : (JSON.parse(row.devices) as string[]),
  }));
}

/** False when somebody else brings them. */
export async function claimEndpoint(
  db: D1Database,
  endpointId: string,
  nowMs: number,
  untilMs: number,
): Promise<boolean> {
  const claimed = await askD1Once("claim_endpoint", () =>
    db.prepare(CLAIM).bind(endpointId, nowMs, untilMs).run(),
  );
  return claimed.meta.changes > 0;
}

/** Also gives the claim back. */
export async function moveEndpoint(
  db: D1Database,
  endpointId: string,
  after: number,
): Promise<void> {
  await askD1("move_endpoint", () => db.prepare(MOVE).bind(endpointId, after).run());
}
