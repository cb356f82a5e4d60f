/**
 * The outside watcher, run every minute: re-drives texts that a device may not have, wakes devices with overdue
 * messages, tells devices of changed settings, closes deleted webhooks, brings account events and the statuses of test
 * messages to webhooks, mails customers, makes the next package periods, and hourly proves the books and forgets old tombstones. Each job is
 * bounded and stands alone: one that fails is reported and tried again a minute later.
 */
import { booksSize } from "../billing/books-size.ts";
import { addNextPeriods } from "../billing/package-periods.ts";
import { findDifferences } from "../billing/reconcile.ts";
import { readConfig } from "../config.ts";
import { deviceClient } from "../device/client.ts";
import { systemClock } from "../domain/clock.ts";
import { askD1 } from "../db/ask.ts";
import { firstMessageIdAt, systemRandomBytes } from "../domain/id.ts";
import { errorFields, logAlert } from "../domain/log.ts";
import { DAY_MS } from "../domain/zone.ts";
import { endpointClient } from "../endpoint/client.ts";
import { mailerFor, type Mailer } from "../outgoing/mailer.ts";
import { tombstonesClient } from "../tombstones/client.ts";
import { BodySeal } from "./body-seal.ts";
import { closeDeleted } from "./close-deleted.ts";
import { FORGET_TOMBSTONES } from "./cron-sql.ts";
import { findLagging } from "./find-lagging.ts";
import { forgetLogs } from "./forget-logs.ts";
import { helpLagging } from "./help-lagging.ts";
import { pumpAccountEvents } from "./pump-account-events.ts";
import { mailAccounts } from "./mail-accounts.ts";
import { moveCursor, readCursor } from "./scan-cursor.ts";
import { tellDevices } from "./tell-devices.ts";
import { tellTestStatuses } from "./tell-test-statuses.ts";

const HOUR_MS = 3_600_000;
const SUBSCRIPTIONS_A_RUN = 500;

/** `thorough`: also what is due once an hour. */
export async function runCron(env: Cloudflare.Env, { thorough = false } = {}): Promise<void> {
  const db = env.DB;
  const nowMs = systemClock();
  const tools = {
    db,
    devices: deviceClient(env.DEVICES),
    endpoints: endpointClient(env.ENDPOINTS),
    tombstones: tombstonesClient(env.TOMBSTONES),
    seal: new BodySeal(readConfig(env).BODY_KEY, systemRandomBytes),
  };
  await alone("help lagging messages", async () =>
    helpLagging(tools, await findLagging(db, nowMs)),
  );
  await alone("tell devices", () => tellDevices(tools, null));
  await alone("close deleted endpoints", () => closeDeleted(tools));
  await alone("tell test statuses", () => tellTestStatuses(db, nowMs));
  await alone("bring account events", () => pumpAccountEvents(tools, null, nowMs));
  await alone("mail accounts", () => mailAccounts({ db, mailer: mailerOf(env) }, nowMs));
  await alone("make next periods", () => makeNextPeriods(db, nowMs));
  await alone("forget logs", () => forgetLogs(db, nowMs));
  await alone("hourly work", async () => {
    if (!thorough && nowMs - (await readCursor(db, "hourly")) < HOUR_MS) return;
    await moveCursor(db, "hourly", nowMs);
    await alone("prove the books", () => proveBooks(db));
    await alone("watch the size", () => watchSize(env));
    await alone("forget tombstones", () => forgetTombstones(db, nowMs));
  });
}

function mailerOf(env: Cloudflare.Env): Mailer | null {
  return mailerFor(env.EMAIL, readConfig(env), systemClock);
}

async function alone(job: string, run: () => Promise<void>): Promise<void> {
  try {
    await run();
  } catch (error) {
    logAlert("cron job failed", { job, ...errorFields(error) });
  }
}

async function makeNextPeriods(db: D1Database, nowMs: number): Promise<void> {
  const after = await readCursor(db, "periods");
  const upTo = after + SUBSCRIPTIONS_A_RUN;
  await addNextPeriods(db, { after, upTo }, nowMs);
  const newest = await askD1("newest_subscription", () =>
    db.prepare("SELECT max(id) AS id FROM subscriptions").first<{ id: number | null }>(),
  );
  const position = upTo >= (newest?.id ?? 0) ? 0 : upTo;
  if (position !== after) await moveCursor(db, "periods", position);
}

async function forgetTombstones(db: D1Database, nowMs: number): Promise<void> {
  const oldest = firstMessageIdAt(nowMs - DAY_MS);
  await askD1("forget_tombstones", () => db.prepare(FORGET_TOMBSTONES).bind(oldest).run());
}

async function watchSize(env: Cloudflare.Env): Promise<void> {
  const { bytes, share, isLarge } = await booksSize(
    env.DB,
    readConfig(env).D1_SIZE_MAX_MB * 1_000_000,
  );
  if (!isLarge) return;
  logAlert("the books grow large", {
    megabytes: Math.floor(bytes / 1_000_000),
    percent: Math.floor(share * 100),
  });
}

async function proveBooks(db: D1Database): Promise<void> {
  const found = await findDifferences(db);
  for (const [what, ids] of Object.entries(found)) {
    if (ids.length > 0) logAlert("the books do not agree", { what, ids: ids.join(",") });
  }
}
