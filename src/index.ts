/** The Worker's exports and nothing else: HTTP, cron, and the Durable Object classes. */
import { app } from "./app.ts";
import { runCron } from "./gateway/cron.ts";

export { Device } from "./device/device.ts";
export { Endpoint } from "./endpoint/endpoint.ts";
export { Fleet } from "./fleet/fleet.ts";

export default {
  fetch: app.fetch,
  scheduled: (_event, env, context) => {
    context.waitUntil(runCron(env));
  },
} satisfies ExportedHandler<Cloudflare.Env>;
