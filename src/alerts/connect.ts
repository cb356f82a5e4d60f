/**
 * Ties the log of this isolate to the Alerts object: called once, when the Worker's code is loaded. Alerts are raised
 * in the middle of anything, also of transactions, so nobody hands an environment along: the platform's own is taken.
 */
import { env, waitUntil } from "cloudflare:workers";
import { systemClock } from "../domain/clock.ts";
import { sendAlertsTo } from "../domain/log.ts";
import { pause } from "../domain/pause.ts";
import { alertsClient } from "./client.ts";
import { AlertSource } from "./source.ts";

export function connectAlerts(): void {
  const source = new AlertSource({
    raise: (alerts) => alertsClient(env.ALERTS).raise(alerts),
    background: waitUntil,
    clock: systemClock,
    pause,
  });
  sendAlertsTo((name, fields) => source.add(name, fields));
}
