/**
 * The two WebSocket upgrades by which session hosts dial in, and where they post their alerts. Only finds the object
 * that a request is for; tokens and tickets are checked by the objects themselves. Serves nothing else.
 */
import { Hono } from "hono";
import { deviceId as deviceIdShape } from "../bridge/control-frames.ts";
import { HOST_ALERTS_PATH } from "../bridge/host-alerts.ts";
import { deviceClient } from "../device/client.ts";
import { fleetClient } from "../fleet/client.ts";

export const bridge = new Hono<{ Bindings: Cloudflare.Env }>();

bridge.post(HOST_ALERTS_PATH, (c) => fleetClient(c.env.FLEET).connect(c.req.raw));

bridge.use("/bridge/*", async (c, next) => {
  if (c.req.header("upgrade")?.toLowerCase() !== "websocket") {
    return c.text("This address is for WebSockets.\n", 426);
  }
  return next();
});

bridge.get("/bridge/control", (c) => fleetClient(c.env.FLEET).connect(c.req.raw));

bridge.get("/bridge/devices/:deviceId", (c) => {
  const deviceId = deviceIdShape.safeParse(c.req.param("deviceId"));
  if (!deviceId.success) return c.notFound();
  return deviceClient(c.env.DEVICES).connect(deviceId.data, c.req.raw);
});
