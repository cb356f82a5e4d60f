/**
 * The Worker under test with a saboteur at the one seam that every call to D1, an object or the bridge passes. It
 * re-exports the real Worker and the real objects, remembers which object a call comes from, and adds one route,
 * `/test/sabotage`, that arms it, and `/test/sql`, that reads D1. Time can be moved forward. It refuses to change what
 * any call does.
 */
import { AsyncLocalStorage } from "node:async_hooks";
import { Device as RealDevice } from "../../../src/device/device.ts";
import type { Crossing } from "../../../src/domain/crossing.ts";
import { setSaboteur } from "../../../src/domain/crossing.ts";
import { Fleet as RealFleet } from "../../../src/fleet/fleet.ts";
import worker from "../../../src/index.ts";
import { Restore as RealRestore } from "../../../src/restore/restore.ts";
import { clockAheadMs, moveClock, ringByMovedClock } from "./moved-clock.ts";
import type { Outage, Plan, Report } from "./sabotage-plan.ts";

const ANSWER_LATE_MS = 6_000;

/** Who makes a call: one object's life, or one request to the Worker. The dead make no more calls. */
interface Caller {
  isDead: boolean;
  die: () => void;
}

const callers = new AsyncLocalStorage<Caller>();
let plan: Plan | null = null;
const d1: { outage: Outage | null } = { outage: null };
let log: string[] = [];
let fired = false;

/** The caller dies here: an object is aborted, a request is answered 500 and never goes on. */
function die(): Promise<never> {
  const caller = callers.getStore();
  if (caller !== undefined) {
    caller.isDead = true;
    caller.die();
  }
  return new Promise<never>(() => undefined);
}

async function sabotage<T>(crossing: Crossing, call: () => Promise<T>): Promise<T> {
  if (callers.getStore()?.isDead === true) return die();
  if (crossing.kind === "d1" && d1.outage !== null) return duringOutage(call);
  // Lines of the request log may be lost; they are gathered, and belong to no send.
  if (plan === null || crossing.name === "write_request_log") return call();
  log.push(`${crossing.kind} ${crossing.name}`);
  if (log.length !== plan.at) return call();
  fired = true;
  switch (plan.how) {
    case "before":
      return die();
    case "after":
      await call();
      return die();
    case "answer_lost":
      await call();
      throw new Error("the answer was lost");
    case "answer_late": {
      const answer = await call();
      await scheduler.wait(ANSWER_LATE_MS);
      return answer;
    }
    case "effect_late":
      await scheduler.wait(ANSWER_LATE_MS);
      return call();
  }
}

/** Each caller waits by itself: what one request holds, another may not resolve. */
async function duringOutage<T>(call: () => Promise<T>): Promise<T> {
  if (d1.outage === "errors") throw new Error("D1_ERROR: internal error");
  while (d1.outage === "silent") await scheduler.wait(50);
  return call();
}

setSaboteur(sabotage);

type ObjectClass = new (ctx: DurableObjectState, env: Cloudflare.Env) => object;

/** The same class, with every public method run under the object it belongs to. */
function remembering<C extends ObjectClass>(real: C) {
  const lives = new WeakMap<object, Caller>();
  const derived = class extends (real as ObjectClass) {
    readonly #moveAlarm: (movedMs: number) => Promise<void>;

    constructor(ctx: DurableObjectState, env: Cloudflare.Env) {
      const moveAlarm = ringByMovedClock(ctx.storage);
      super(ctx, env);
      this.#moveAlarm = moveAlarm;
      lives.set(this, { isDead: false, die: () => ctx.abort("killed by the saboteur") });
    }

    clockMoved(movedMs: number): Promise<void> {
      return this.#moveAlarm(movedMs);
    }
  };
  for (const name of Object.getOwnPropertyNames(real.prototype)) {
    const method: unknown = Reflect.get(real.prototype as object, name);
    if (name === "constructor" || typeof method !== "function") continue;
    Object.defineProperty(derived.prototype, name, {
      value(this: object, ...args: unknown[]): unknown {
        const life = lives.get(this);
        const run = (): unknown => Reflect.apply(method, this, args);
        return life === undefined ? run() : callers.run(life, run);
      },
    });
  }
  return derived as unknown as C;
}

export { Alerts } from "../../../src/alerts/alerts.ts";
export { Tombstones } from "../../../src/tombstones/tombstones.ts";
export { Endpoint } from "../../../src/endpoint/endpoint.ts";
export const Device = remembering(RealDevice);
export const Fleet = remembering(RealFleet);
export const Restore = remembering(RealRestore);

async function control(request: Request, env: Cloudflare.Env): Promise<Response> {
  if (request.method === "POST") {
    const body = await request.json<{
      plan?: Plan | null;
      moveMs?: number;
      outage?: Outage | null;
    }>();
    if (body.outage !== undefined) d1.outage = body.outage;
    if (body.moveMs !== undefined) await moveClock(env, body.moveMs);
    if (body.plan !== undefined) {
      plan = body.plan;
      log = [];
      fired = false;
    }
  }
  return Response.json({ log, fired, aheadMs: clockAheadMs() } satisfies Report);
}

/** A request whose caller may die: then the client gets no answer of the product. */
function mortal(serve: () => Promise<Response>): Promise<Response> {
  return new Promise((resolve, reject) => {
    const caller: Caller = {
      isDead: false,
      die: () => resolve(new Response("died", { status: 500 })),
    };
    callers.run(caller, serve).then(resolve, reject);
  });
}

/** Reads only: the statement is the test's own. */
async function readSql(request: Request, env: Cloudflare.Env): Promise<Response> {
  const { sql } = await request.json<{ sql: string }>();
  return Response.json((await env.DB.prepare(sql).all()).results);
}

export default {
  fetch(request, env, context) {
    const { pathname } = new URL(request.url);
    if (pathname === "/test/sabotage") return control(request, env);
    if (pathname === "/test/sql") return readSql(request, env);
    return mortal(async () => worker.fetch(request, env, context));
  },
  scheduled: worker.scheduled,
} satisfies ExportedHandler<Cloudflare.Env>;
