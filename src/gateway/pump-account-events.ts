/**
 * Brings an account's own events (refusals, trouble of another endpoint, statuses of test messages) to its endpoints. A
 * bounded number a run; what is not acknowledged is brought again by the next one.
 */
import { accountNewsAfter, type AccountEvent } from "../directory/account-events.ts";
import {
  claimEndpoint,
  endpointsBehind,
  moveEndpoint,
  type BehindEndpoint,
} from "../directory/account-news.ts";
import {
  ACCOUNT_ORDER_KEY,
  messageOrderKey,
  webhookEvent,
  type WebhookEvent,
} from "../domain/event.ts";
import { errorFields, logAlert, logWarning } from "../domain/log.ts";
import type { EndpointClient } from "../endpoint/client.ts";

const ENDPOINTS_A_RUN = 50;
const EVENTS_A_CALL = 500;
const CLAIM_MS = 30_000;

export interface PumpTools {
  db: D1Database;
  endpoints: EndpointClient;
}

/** `accountId` null: of all accounts. */
export async function pumpAccountEvents(
  tools: PumpTools,
  accountId: number | null,
  nowMs: number,
): Promise<void> {
  for (const behind of await endpointsBehind(tools.db, accountId, nowMs, ENDPOINTS_A_RUN)) {
    try {
      if (await claimEndpoint(tools.db, behind.endpointId, nowMs, nowMs + CLAIM_MS)) {
        await bring(tools, behind);
      }
    } catch (error) {
      logWarning("account events not brought", {
        endpoint: behind.endpointId,
        ...errorFields(error),
      });
    }
  }
}

async function bring({ db, endpoints }: PumpTools, behind: BehindEndpoint): Promise<void> {
  const { endpointId, accountId, after, devices } = behind;
  const who = { endpointId, accountId };
  const source = { kind: "account" } as const;
  // A refusal that grew since the last try is another event: numbers are never guessed.
  const asked = await endpoints.deliver(who, { source, events: [] });
  if (!asked.ok) {
    logWarning("endpoint refuses account events", { endpoint: endpointId, ...asked.error });
    return;
  }
  const found = await accountNewsAfter(db, accountId, after, EVENTS_A_CALL);
  const upTo = found.at(-1)?.id ?? after;
  // An endpoint in trouble is not told of it through itself.
  const events = found
    .filter(({ data }) => data["endpoint"] !== endpointId)
    .filter(({ data }) => isOfDevices(data["device_id"], devices))
    .map((event) => accountEventShape(accountId, event))
    .filter((event) => event !== null);
  const first = asked.value.highest + 1;
  const numbered = events.map((event, index) => ({ sequence: first + index, event }));
  const answer = await endpoints.deliver(who, { source, events: numbered });
  if (answer.ok) await moveEndpoint(db, endpointId, upTo);
  else logWarning("endpoint refuses account events", { endpoint: endpointId, ...answer.error });
}

/** What is not about one device is for every endpoint. */
function isOfDevices(deviceId: unknown, devices: string[] | null): boolean {
  return devices === null || typeof deviceId !== "string" || devices.includes(deviceId);
}

/** In the form in which it travels; null, with an alert, for what has no such form. */
export function accountEventShape(
  accountId: number,
  { id, type, atMs, hourMs, data }: AccountEvent,
): WebhookEvent | null {
  const isTest = data["test"] === true;
  const [messageId, waid] = [String(data["id"]), String(data["device"])];
  const parsed = webhookEvent.safeParse({
    id: isTest
      ? `evt_test_${messageId}_${String(data["status"])}`
      : `evt_account_${accountId}_${id}`,
    type,
    atMs,
    orderKey: isTest ? messageOrderKey(waid, messageId) : ACCOUNT_ORDER_KEY,
    data: type === "account.refusals" ? { ...data, hour: new Date(hourMs).toISOString() } : data,
  });
  if (parsed.success) return parsed.data;
  logAlert("account event has no form", { type });
  return null;
}
