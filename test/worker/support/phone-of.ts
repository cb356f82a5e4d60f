/** The phone of a customer that the operator's API made: paired, with a scripted host; and one that WhatsApp has stopped. */
import { env } from "cloudflare:test";
import type { ScriptedHost } from "../device-host.ts";
import { pairedHost, type TestDevice } from "../device-support.ts";
import type { Customer } from "./harness.ts";
import { v1 } from "./v1.ts";

export async function phoneOf(customer: Customer): Promise<ScriptedHost> {
  const { deviceId, accountId, waid, apiKey } = customer;
  // The first question gives the object its identity.
  await v1("GET", `/devices/${waid}`, apiKey);
  const device: TestDevice = {
    identity: { deviceId, accountId, waid },
    stub: env.DEVICES.get(env.DEVICES.idFromName(deviceId)),
  };
  return pairedHost(device);
}

export async function pausePhone(customer: Customer): Promise<void> {
  const host = await phoneOf(customer);
  await host.closeSession("blocked", { code: 411 });
}
