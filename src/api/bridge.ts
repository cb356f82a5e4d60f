/**
 * The two WebSocket upgrades by which session hosts dial in, and where they post their alerts. Only finds the object
 * that a request is for; tokens and tickets are checked by the objects themselves. There is one Fleet, so an address that
 * keeps knocking in vain is held off before it wakes an object. Serves nothing else.
 */
import { Hono } from "hono";
import { deviceId as deviceIdShape } from "../bridge/control-frames.ts";
import { HOST_ALERTS_PATH } from "../bridge/host-alerts.ts";
import { deviceClient } from "../device/client.ts";
import { network64 } from "../domain/client-address.ts";
import { systemClock } from "../domain/clock.ts";
import { TokenBuckets } from "../domain/token-bucket.ts";
import { fleetClient } from "../fleet/client.ts";
import { clientAddress } from "./environment.ts";

/** Above what a machine full of phones hears when its tickets have run out while it was away. */
const REFUSALS_PER_MINUTE = 600;
const NETWORKS_MAX = 10_000;

/** Memory of the isolate: it saves work and lets nobody in. */
const refusals = new TokenBuckets({
  tokensMax: REFUSALS_PER_MINUTE,
  fillMs: 60_000,
  namesMax: NETWORKS_MAX,
});

export const bridge = new Hono<{ Bindings: Cloudflare.Env }>();

bridge.use("/bridge/*", async (c, next) => {
  const address = clientAddress(c.req.raw);
  if (address === null) return next();
  const network = network64(address)?.low ?? address;
  const { isAllowed, nextMs } = refusals.peek(network, systemClock());
  if (!isAllowed) {
    const headers = { "Retry-After": String(Math.ceil(nextMs / 1000)) };
    return c.text("Too many refused requests from this address.\n", 429, headers);
  }
  await next();
  if (c.res.status === 401 || c.res.status === 403) refusals.take(network, systemClock());
});

bridge.post(HOST_ALERTS_PATH, (c) => fleetClient(c.env.FLEET).connect(c.req.raw));

bridge.use("/bridge/*", (c, next) =>
  c.req.header("upgrade")?.toLowerCase() === "websocket"
    ? next()
    : Promise.resolve(c.text("This address is for WebSockets.\n", 426)),
);

bridge.get("/bridge/control", (c) => fleetClient(c.env.FLEET).connect(c.req.raw));

bridge.get("/bridge/devices/:deviceId", (c) => {
  const deviceId = deviceIdShape.safeParse(c.req.param("deviceId"));
  if (!deviceId.success) return c.notFound();
  return deviceClient(c.env.DEVICES).connect(deviceId.data, c.req.raw);
});
