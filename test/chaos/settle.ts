/**
 * Waits until nothing is under way any more. First in real time, as a customer would; then the Worker's clock is moved
 * to what is due next: the second attempt, the next try of a webhook, the end of the wait for a proof. Ends nothing
 * itself, and answers what would not end.
 */
import { setTimeout as pause } from "node:timers/promises";
import { systemClock } from "../../src/domain/clock.ts";
import type { Stack } from "../flow/support/stack.ts";
import type { Stored } from "../flow/support/stored.ts";
import type { Whatsapp } from "../flow/support/whatsapp.ts";
import type { Tenant } from "./tenants.ts";
import { countOpen, countOpenHolds } from "./witness.ts";

export interface SettleParts {
  stack: Stack;
  stored: Stored;
  whatsapp: Whatsapp;
  tenants: readonly Tenant[];
  tell: (line: string) => void;
  /** In real time, before the clock is moved. */
  patienceMs: number;
}

const LOOK_MS = 500;
const CONNECT_TIMEOUT_MS = 330_000;
const STEP_PATIENCE_MS = 8_000;
const RECEIPTS_MS = 3_000;
const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
/** The second attempt needs its minute and a new connection; a second loss ends after a day. */
const SECOND_ATTEMPT_MS = 61_000;
const NO_PROOF_MS = 24 * HOUR_MS + MINUTE_MS;
/** What a webhook waits before its tries, with the chance that is added. */
const WEBHOOK_WAITS_MS = [
  6_000,
  6 * MINUTE_MS,
  34 * MINUTE_MS,
  3 * HOUR_MS,
  6 * HOUR_MS,
  12 * HOUR_MS,
];

export async function settle(parts: SettleParts): Promise<string[]> {
  const { stored, tenants, tell } = parts;
  const startedMs = systemClock();
  if (!(await allConnected(parts))) return ["not every phone came back"];
  tell(`every phone is back after ${((systemClock() - startedMs) / 1_000).toFixed(1)} s`);
  if (!(await until(() => isEnded(parts), parts.patienceMs, parts))) {
    for (const moveMs of [SECOND_ATTEMPT_MS, SECOND_ATTEMPT_MS, NO_PROOF_MS]) {
      const open = countOpen(stored, tenants);
      tell(
        `${open.waiting} waiting, ${open.unproved} unproved; the clock goes ${moveMs / 1_000} s ahead`,
      );
      if (moveMs === NO_PROOF_MS && open.waiting > 0)
        return [`${open.waiting} messages never left`];
      await reconnectAhead(parts, moveMs);
      if (await until(() => isEnded(parts), STEP_PATIENCE_MS, parts)) break;
    }
  }
  if (!isEnded(parts)) return ["not every message came to its end"];
  // Receipts may still be on their way, and events behind them.
  await pause(RECEIPTS_MS);
  for (const moveMs of [0, ...WEBHOOK_WAITS_MS]) {
    if (moveMs > 0) await moveClock(parts, moveMs);
    if (await until(() => areEventsOut(parts), STEP_PATIENCE_MS, parts)) return [];
  }
  return ["not every event was delivered or given up"];
}

async function reconnectAhead(parts: SettleParts, moveMs: number): Promise<void> {
  await moveClock(parts, moveMs);
  await parts.whatsapp.post("/faults", { kind: "drop" });
  await allConnected(parts);
}

function isEnded({ stored, tenants }: SettleParts): boolean {
  const { waiting, unproved } = countOpen(stored, tenants);
  return waiting + unproved + countOpenHolds(stored) === 0;
}

function areEventsOut({ stored, tenants }: SettleParts): boolean {
  return tenants.every(({ customer, endpointId }) => {
    const unfed = stored.device(
      customer.waid,
      "SELECT 1 FROM feeds WHERE acked_n < (SELECT coalesce(max(n), 0) FROM events) LIMIT 1",
    );
    const waiting = stored.endpoint(
      endpointId,
      "SELECT 1 FROM events WHERE state = 'waiting' LIMIT 1",
    );
    return unfed.length + waiting.length === 0;
  });
}

async function allConnected({ stack, tenants }: SettleParts): Promise<boolean> {
  const untilMs = systemClock() + CONNECT_TIMEOUT_MS;
  for (const { customer } of tenants) {
    for (;;) {
      const device = await stack.product.device(customer.apiKey, customer.waid);
      if (device.ok && device.value.status === "connected") break;
      if (systemClock() > untilMs) return false;
      await pause(LOOK_MS);
    }
  }
  return true;
}

/** The cron looks after what was forgotten, as it does each minute. */
async function until(
  holds: () => boolean,
  timeoutMs: number,
  { stack }: SettleParts,
): Promise<boolean> {
  const untilMs = systemClock() + timeoutMs;
  await stack.product.runCron();
  for (;;) {
    if (holds()) return true;
    if (systemClock() > untilMs) return false;
    await pause(LOOK_MS);
  }
}

async function moveClock({ stack }: SettleParts, moveMs: number): Promise<void> {
  const response = await fetch(`${stack.url}/test/clock`, {
    method: "POST",
    body: JSON.stringify({ moveMs }),
    signal: AbortSignal.timeout(30_000),
  });
  if (!response.ok) throw new Error(`the clock was not moved: ${response.status}`);
}
