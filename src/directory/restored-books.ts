/**
 * What a restore of the books must ask of D1 beside the messages: which devices there are, and that ids of accounts
 * that were forgotten are not given out again. Decides nothing.
 */
import { askD1 } from "../db/ask.ts";
import type { DeviceKey } from "./devices.ts";

const DEVICES_AFTER = `
SELECT id AS deviceId, account_id AS accountId, waid FROM devices
WHERE id > ?1 AND (deleted_ms IS NULL OR deleted_ms > ?2) ORDER BY id LIMIT ?3`;

/** A page of all devices by id: also those deleted since a time, which may hold messages yet. */
export async function devicesAfter(
  db: D1Database,
  afterId: string,
  deletedSinceMs: number,
  countMax: number,
): Promise<DeviceKey[]> {
  const { results } = await askD1("devices_after", () =>
    db.prepare(DEVICES_AFTER).bind(afterId, deletedSinceMs, countMax).all<DeviceKey>(),
  );
  return results;
}

export async function newestAccountId(db: D1Database): Promise<number> {
  const row = await askD1("newest_account", () =>
    db.prepare("SELECT max(id) AS id FROM accounts").first<{ id: number | null }>(),
  );
  return row?.id ?? 0;
}

const TAKE_ACCOUNT_ID = `
INSERT INTO accounts (id, name, status, created_ms)
SELECT ?1, 'forgotten in a restore', 'closed', ?2 WHERE ?1 > (SELECT coalesce(max(id), 0) FROM accounts)`;

/**
 * Accounts opened after the moment that D1 went back to are gone, but objects still name them: the next account must
 * not get such an id. One closed row at the highest of them sees to that.
 */
export async function takeAccountIdsUpTo(
  db: D1Database,
  highestId: number,
  nowMs: number,
): Promise<void> {
  await askD1("take_account_ids", () => db.prepare(TAKE_ACCOUNT_ID).bind(highestId, nowMs).run());
}

const WAITING_TEXTS = `
SELECT count(*) AS n FROM (SELECT 1 FROM messages WHERE id > ?1 AND id < ?2 AND body IS NOT NULL LIMIT ?3)`;

/** Messages in a range of ids whose text no device is known to have, up to `countMax`. */
export async function waitingTexts(
  db: D1Database,
  range: { after: number; before: number },
  countMax: number,
): Promise<number> {
  const row = await askD1("waiting_texts", () =>
    db.prepare(WAITING_TEXTS).bind(range.after, range.before, countMax).first<{ n: number }>(),
  );
  return row?.n ?? 0;
}
