/**
 * Whether each phone has exactly one linked client, online, and each device runs on exactly one host that can be
 * reached: by WhatsApp's own list and by the Fleet's. A phone that is just coming back gets its time.
 */
import { setTimeout as pause } from "node:timers/promises";
import { systemClock } from "../../src/domain/clock.ts";
import type { Stack } from "../flow/support/stack.ts";
import type { Whatsapp } from "../flow/support/whatsapp.ts";
import type { Tenant } from "./tenants.ts";

const PATIENCE_MS = 40_000;
const LOOK_MS = 1_000;

export async function findOrphans(
  stack: Stack,
  whatsapp: Whatsapp,
  tenants: readonly Tenant[],
): Promise<string[]> {
  const untilMs = systemClock() + PATIENCE_MS;
  for (;;) {
    const found = await look(stack, whatsapp, tenants);
    if (found.length === 0 || systemClock() > untilMs) return found;
    await pause(LOOK_MS);
  }
}

async function look(
  stack: Stack,
  whatsapp: Whatsapp,
  tenants: readonly Tenant[],
): Promise<string[]> {
  const wrong: string[] = [];
  for (const { index, customer } of tenants) {
    const linked = await whatsapp.linked(customer.phone);
    const online = linked.filter((client) => client.online);
    if (linked.length === 1 && online.length === 1) continue;
    wrong.push(`account ${index}: ${linked.length} clients linked, ${online.length} online`);
  }
  const answer = await stack.product.hosts();
  const hosts = answer.ok ? answer.value.hosts : [];
  const running = hosts.reduce((sum, { devices }) => sum + devices, 0);
  if (running !== tenants.length) wrong.push(`${running} devices on hosts, of ${tenants.length}`);
  const silent = hosts.filter(({ connected }) => !connected).length;
  return silent === 0 ? wrong : [...wrong, `${silent} hosts out of reach`];
}
