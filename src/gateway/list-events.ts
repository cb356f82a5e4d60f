/**
 * What happened to an account, for a server that asks instead of being told: the events of its devices and its own, each
 * store read in its own order of insertion. The cursor holds one position a store, so that nothing is skipped when one
 * of them is late or cannot be reached.
 */
import { accountEventsAfter } from "../directory/account-events.ts";
import { readAccess } from "../directory/access.ts";
import { keepEvents } from "../directory/device-settings.ts";
import { deviceKey, devicesOfAccount, type DeviceRow } from "../directory/devices.ts";
import type { WebhookEvent } from "../domain/event.ts";
import type { RequestFailure } from "../domain/failure.ts";
import { errorFields, logWarning } from "../domain/log.ts";
import { ok, type Result } from "../domain/result.ts";
import { askDevice } from "./ask-device.ts";
import { DEVICE_TIMEOUT_MS, type Caller, type DeviceTools } from "./device-answer.ts";
import { accountEventShape } from "./pump-account-events.ts";
import { tellDevices } from "./tell-devices.ts";

const KEPT_MS = 7 * 24 * 3_600_000;
const DEVICES_AT_ONCE = 6;
/** The name of the account's own store in a cursor; no waid has a dash. */
export const ACCOUNT_STORE = "account-";

/** How far each store was read; one that is missing is read from its beginning. */
export type EventsCursor = ReadonlyMap<string, number>;

export interface EventsAnswer {
  events: WebhookEvent[];
  next: EventsCursor;
  /** Whether there may be more already. */
  hasMore: boolean;
}

interface StorePage {
  store: string;
  events: { n: number; event: WebhookEvent }[];
  upTo: number;
  hasMore: boolean;
}

export async function listEvents(
  tools: DeviceTools,
  caller: Caller,
  after: EventsCursor,
  countMax: number,
): Promise<Result<EventsAnswer, RequestFailure>> {
  const access = await readAccess(tools.db, { ...caller, waid: null }, tools.clock());
  if (!access.ok) return access;
  const { accountId } = access.value;
  const waiting = await devicesOfAccount(tools.db, accountId);
  const pages = [await accountPage(tools, accountId, after, countMax)];
  const worker = async () => {
    for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
      const page = await devicePage(tools, next, after.get(next.waid) ?? 0, countMax);
      if (page !== null) pages.push(page);
    }
  };
  await Promise.all(Array.from({ length: DEVICES_AT_ONCE }, worker));
  return ok(merged(pages, after, countMax));
}

/** Devices of an account with an endpoint keep events anyway. */
export async function keepEventsOf(
  tools: DeviceTools,
  caller: Caller,
  kept: boolean,
): Promise<Result<null, RequestFailure>> {
  const access = await readAccess(tools.db, { ...caller, waid: null }, tools.clock());
  if (!access.ok) return access;
  await keepEvents(tools.db, access.value.accountId, kept);
  await tellDevices(tools, access.value.accountId);
  return ok(null);
}

async function accountPage(
  { db, clock }: DeviceTools,
  accountId: number,
  after: EventsCursor,
  countMax: number,
): Promise<StorePage> {
  const from = after.get(ACCOUNT_STORE) ?? 0;
  const rows = await accountEventsAfter(db, accountId, from, clock() - KEPT_MS, countMax);
  const events = rows.flatMap((row) => {
    const event = accountEventShape(accountId, row);
    return event === null ? [] : [{ n: row.id, event }];
  });
  const upTo = rows.at(-1)?.id ?? from;
  return { store: ACCOUNT_STORE, events, upTo, hasMore: rows.length === countMax };
}

/** Null when it cannot be reached: its position stays. */
async function devicePage(
  { devices }: DeviceTools,
  row: DeviceRow,
  from: number,
  countMax: number,
): Promise<StorePage | null> {
  const identity = deviceKey(row);
  try {
    const page = await askDevice(devices, identity, DEVICE_TIMEOUT_MS, (device) =>
      device.events(identity, from, countMax),
    );
    if (!page.ok) return null;
    const { events, upTo } = page.value;
    return { store: row.waid, events, upTo, hasMore: events.length === countMax };
  } catch (error) {
    logWarning("device not reached", { waid: row.waid, ...errorFields(error) });
    return null;
  }
}

/** By time across the stores, in its own order within each. */
function merged(pages: StorePage[], after: EventsCursor, countMax: number): EventsAnswer {
  const next = new Map(after);
  const heads = pages.map((page) => ({ page, at: 0 }));
  const events: WebhookEvent[] = [];
  while (events.length < countMax) {
    const head = heads
      .filter(({ page, at }) => at < page.events.length)
      .toSorted((one, other) => timeOf(one) - timeOf(other))[0];
    const entry = head?.page.events[head.at];
    if (head === undefined || entry === undefined) break;
    events.push(entry.event);
    next.set(head.page.store, entry.n);
    head.at += 1;
  }
  let hasMore = false;
  for (const { page, at } of heads) {
    const isThrough = at === page.events.length;
    if (isThrough) next.set(page.store, page.upTo);
    hasMore ||= !isThrough || page.hasMore;
  }
  return { events, next, hasMore };
}

function timeOf({ page, at }: { page: StorePage; at: number }): number {
  return page.events[at]?.event.atMs ?? Number.POSITIVE_INFINITY;
}
