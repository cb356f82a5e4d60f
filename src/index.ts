/** The Worker's exports: HTTP, cron, and the Durable Object classes; and where its alerts go. */
import { connectAlerts } from "./alerts/connect.ts";
import { app } from "./app.ts";
import { runCron } from "./gateway/cron.ts";

export { Alerts } from "./alerts/alerts.ts";
export { Device } from "./device/device.ts";
export { Endpoint } from "./endpoint/endpoint.ts";
export { Fleet } from "./fleet/fleet.ts";
export { Restore } from "./restore/restore.ts";
export { Tombstones } from "./tombstones/tombstones.ts";

connectAlerts();

export default {
  fetch: app.fetch,
  scheduled: (_event, env, context) => {
    context.waitUntil(runCron(env));
  },
} satisfies ExportedHandler<Cloudflare.Env>;
