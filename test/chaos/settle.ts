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
  if ((await untilNone(() => countUnended(parts), parts.patienceMs, parts)) > 0) {
    for (const moveMs of [SECOND_ATTEMPT_MS, SECOND_ATTEMPT_MS, NO_PROOF_MS]) {
      const open = countOpen(stored, tenants);
      tell(
        `${open.waiting} waiting, ${open.unproved} unproved; the clock goes ${moveMs / 1_000} s ahead`,
      );
      if (moveMs === NO_PROOF_MS && open.waiting > 0)
        return [`${open.waiting} messages never left`];
      await reconnectAhead(parts, moveMs);
      if ((await untilNone(() => countUnended(parts), STEP_PATIENCE_MS, parts)) === 0) break;
    }
  }
  if (countUnended(parts) > 0) return ["not every message came to its end"];
  // Receipts may still be on their way, and events behind them.
  await pause(RECEIPTS_MS);
  for (const moveMs of [0, ...WEBHOOK_WAITS_MS]) {
    if (moveMs > 0) await moveClock(parts, moveMs);
    if ((await untilNone(() => countEvents(parts), STEP_PATIENCE_MS, parts)) === 0) return [];
  }
  return ["not every event was delivered or given up"];
}

async function reconnectAhead(parts: SettleParts, moveMs: number): Promise<void> {
  await moveClock(parts, moveMs);
  await parts.whatsapp.post("/faults", { kind: "drop" });
  await allConnected(parts);
}

function countUnended({ stored, tenants }: SettleParts): number {
  const { waiting, unproved } = countOpen(stored, tenants);
  return waiting + unproved + countOpenHolds(stored);
}

/** Those that a device still has to hand to its webhook, and those that wait there. */
function countEvents({ stored, tenants }: SettleParts): number {
  const counts = tenants.flatMap(({ customer, endpointId }) => [
    ...stored.device(
      customer.waid,
      "SELECT (SELECT coalesce(max(n), 0) FROM events) - acked_n AS n FROM feeds",
    ),
    ...stored.endpoint(endpointId, "SELECT count(*) AS n FROM events WHERE state = 'waiting'"),
  ]);
  return counts.reduce((sum, { n }) => sum + Number(n), 0);
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

/** Until there are none, or their number has not fallen for so long. Answers how many are left. */
async function untilNone(
  count: () => number,
  patienceMs: number,
  { stack }: SettleParts,
): Promise<number> {
  // The cron looks after what was forgotten, as it does each minute.
  await stack.product.runCron();
  let left = count();
  for (let fellMs = systemClock(); left > 0 && systemClock() - fellMs < patienceMs;) {
    await pause(LOOK_MS);
    const now = count();
    if (now < left) fellMs = systemClock();
    left = now;
  }
  return left;
}

async function moveClock({ stack }: SettleParts, moveMs: number): Promise<void> {
  const response = await fetch(`${stack.url}/test/clock`, {
    method: "POST",
    body: JSON.stringify({ moveMs }),
    signal: AbortSignal.timeout(30_000),
  });
  if (!response.ok) throw new Error(`the clock was not moved: ${response.status}`);
}
