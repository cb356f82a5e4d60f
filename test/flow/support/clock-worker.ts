/**
 * The Worker as it is, but for its clock: one more route, `/test/clock`, moves it forward. The real Worker and the real
 * objects are re-exported; nothing else of them is touched.
 */
import { Device as RealDevice } from "../../../src/device/device.ts";
import { Endpoint as RealEndpoint } from "../../../src/endpoint/endpoint.ts";
import { Fleet as RealFleet } from "../../../src/fleet/fleet.ts";
import worker from "../../../src/index.ts";
import { Restore as RealRestore } from "../../../src/restore/restore.ts";
import { clockAheadMs, hearByMovedClock, moveClock, ringByMovedClock } from "./moved-clock.ts";

type ObjectClass = new (ctx: DurableObjectState, env: Cloudflare.Env) => object;

function movable<C extends ObjectClass>(real: C): C {
  const derived = class extends (real as ObjectClass) {
    readonly #moveAlarm: (movedMs: number) => Promise<void>;

    constructor(ctx: DurableObjectState, env: Cloudflare.Env) {
      const moveAlarm = ringByMovedClock(ctx.storage);
      hearByMovedClock(ctx);
      super(ctx, env);
      this.#moveAlarm = moveAlarm;
    }

    clockMoved(movedMs: number): Promise<void> {
      return this.#moveAlarm(movedMs);
    }
  };
  return derived as unknown as C;
}

export { Alerts } from "../../../src/alerts/alerts.ts";
export const Device = movable(RealDevice);
export const Endpoint = movable(RealEndpoint);
export const Fleet = movable(RealFleet);
export const Restore = movable(RealRestore);

async function control(request: Request, env: Cloudflare.Env): Promise<Response> {
  const { moveMs } = await request.json<{ moveMs: number }>();
  await moveClock(env, moveMs);
  return Response.json({ aheadMs: clockAheadMs() });
}

export default {
  fetch(request, env, context) {
    const { pathname } = new URL(request.url);
    return pathname === "/test/clock" ? control(request, env) : worker.fetch(request, env, context);
  },
  scheduled: worker.scheduled,
} satisfies ExportedHandler<Cloudflare.Env>;
