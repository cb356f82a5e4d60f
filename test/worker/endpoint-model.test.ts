/**
 * Random receivers, crashes and hours: whatever happens, each event reaches its own receiver at least once or lies among
 * the dead letters, events of one key are tried in order, and nothing reaches another tenant.
 */
import { evictDurableObject } from "cloudflare:test";
import fc from "fast-check";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import type { WebhookEvent } from "../../src/domain/event.ts";
import {
  crash,
  deadOf,
  type Delivery,
  hangs,
  HOST,
  inboundEvent,
  newEndpoint,
  passTime,
  Receiver,
  ring,
  Sender,
  settingsOf,
  START,
  type TestEndpoint,
  unwrap,
  viewOf,
} from "./endpoint-support.ts";

const KEYS = 4;
const RUNS = 30;
const HOUR_MS = 3_600_000;

type Mode = "ok" | "500" | "unreachable" | "busy" | "302" | "410" | "half" | "hangs";
const MODES: readonly Mode[] = ["ok", "500", "unreachable", "busy", "302", "410", "half", "hangs"];

type Step =
  | { do: "send"; keys: number[] }
  | { do: "mode"; mode: Mode }
  | { do: "moodyKey"; key: number }
  | { do: "pass"; ms: number }
  | { do: "crash" }
  | { do: "evict" }
  | { do: "reopen" };

const anyStep: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constant("send" as const),
      keys: fc.array(fc.nat(KEYS - 1), { minLength: 1, maxLength: 6 }),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({ do: fc.constant("mode" as const), mode: fc.constantFrom(...MODES) }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant("moodyKey" as const), key: fc.nat(KEYS - 1) }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant("pass" as const),
      ms: fc.constantFrom(1_000, 6_000, 400_000, HOUR_MS, 11 * HOUR_MS),
    }),
  },
  { weight: 1, arbitrary: fc.constant({ do: "crash" as const }) },
  { weight: 1, arbitrary: fc.constant({ do: "evict" as const }) },
  { weight: 1, arbitrary: fc.constant({ do: "reopen" as const }) },
);

beforeEach(() => {
  vi.setSystemTime(START);
});

afterEach(() => {
  vi.restoreAllMocks();
  vi.useRealTimers();
});

/** One tenant with its own path at the receiver. */
class Tenant {
  readonly endpoint: TestEndpoint;
  readonly path: string;
  readonly sent: WebhookEvent[] = [];
  readonly #sender: Sender;
  #unsure: WebhookEvent[] = [];

  constructor(endpoint: TestEndpoint, path: string) {
    this.endpoint = endpoint;
    this.path = path;
    this.#sender = new Sender(endpoint);
  }

  static async make(path: string): Promise<Tenant> {
    return new Tenant(await newEndpoint({ url: urlOf(path) }), path);
  }

  async send(keys: readonly number[]): Promise<void> {
    const events = keys.map((key) => {
      const event = inboundEvent(this.sent.length + this.#unsure.length, {
        from: `62812000${key}`,
      });
      this.#unsure.push(event);
      return { ...event, id: `${this.path}_${event.id}` };
    });
    await this.#sender.send(...events);
    this.#unsure = [];
    this.sent.push(...events);
  }
}

function urlOf(path: string): string {
  return `https://${HOST}/${path}`;
}

function answerAs(mode: Mode): Receiver["answer"] {
  switch (mode) {
    case "ok":
      return () => new Response("ok");
    case "unreachable":
      return () => Promise.reject(new TypeError("no such host"));
    case "busy":
      return () => new Response("", { status: 429, headers: { "retry-after": "60" } });
    case "half":
      return () =>
        new Response(
          new ReadableStream({ pull: (controller) => controller.error(new TypeError("cut")) }),
        );
    case "hangs":
      return hangs;
    case "500":
    case "302":
    case "410":
      return () => new Response("", { status: Number(mode) });
  }
}

async function act(step: Step, tenant: Tenant, receiver: Receiver): Promise<void> {
  const { endpoint } = tenant;
  // A hanging receiver would hold the next alarm in real time; a crash is what ends the wait.
  if (receiver.answer === hangs && step.do !== "send") await crash(endpoint);
  switch (step.do) {
    case "send":
      return tenant.send(step.keys);
    case "mode":
      receiver.answer = answerAs(step.mode);
      return;
    case "moodyKey":
      receiver.answer = ({ body }) =>
        new Response("", { status: body.includes(`62812000${step.key}`) ? 500 : 200 });
      return;
    case "pass":
      return receiver.answer === hangs ? undefined : passTime(endpoint, step.ms);
    case "crash":
      return crash(endpoint);
    case "evict":
      if (receiver.answer === hangs) return;
      // Only what runs can be evicted.
      await viewOf(endpoint);
      await evictDurableObject(endpoint.stub);
      return;
    case "reopen":
      await unwrap(endpoint.stub.configure(endpoint.who, settingsOf({ url: urlOf(tenant.path) })));
      return;
  }
}

/** From here on the receiver is well, and everything that may still come comes. */
async function settle({ endpoint, path }: Tenant, receiver: Receiver): Promise<void> {
  await crash(endpoint);
  receiver.answer = () => new Response("ok");
  vi.setSystemTime(Date.now() + HOUR_MS);
  await unwrap(endpoint.stub.configure(endpoint.who, settingsOf({ url: urlOf(path) })));
  for (let turn = 0; turn < 10 && (await viewOf(endpoint)).waiting > 0; turn += 1) {
    await passTime(endpoint, 25 * HOUR_MS);
  }
}

async function expectPromises(tenant: Tenant, receiver: Receiver): Promise<void> {
  const tries = receiver.deliveries.filter(({ url }) => url === urlOf(tenant.path));
  const foreign = tries.filter(({ id }) => !id.startsWith(`${tenant.path}_`));
  expect(foreign).toEqual([]);
  const dead = new Set((await deadOf(tenant.endpoint)).map(({ eventId }) => eventId));
  const reached = new Set(tries.filter(({ succeeded }) => succeeded).map(({ id }) => id));
  const missing = tenant.sent.filter(({ id }) => !reached.has(id) && !dead.has(id));
  expect(missing.map(({ id }) => id)).toEqual([]);
  for (const key of new Set(tenant.sent.map(({ orderKey }) => orderKey))) {
    const order = tenant.sent.filter(({ orderKey }) => orderKey === key).map(({ id }) => id);
    expectOrder(order, tries, dead);
  }
  const { waiting, dead: deadCount } = await viewOf(tenant.endpoint);
  expect({ waiting, dead: deadCount }).toEqual({ waiting: 0, dead: dead.size });
}

/** An event is tried only when those before it are through, one way or the other. */
function expectOrder(order: string[], tries: Delivery[], dead: Set<string>): void {
  const through = new Set(dead);
  for (const { id, succeeded } of tries.filter((one) => order.includes(one.id))) {
    const before = order.slice(0, order.indexOf(id));
    expect(before.filter((other) => !through.has(other))).toEqual([]);
    if (succeeded) through.add(id);
  }
}

it("loses nothing, keeps the order of each key and keeps tenants apart, whatever happens", async () => {
  const receiver = new Receiver();
  let run = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(anyStep, { minLength: 5, maxLength: 25 }), async (steps) => {
      run += 1;
      receiver.deliveries.length = 0;
      receiver.answer = answerAs("ok");
      const tenant = await Tenant.make(`a${run}`);
      const other = await Tenant.make(`b${run}`);
      for (const one of steps) {
        await act(one, tenant, receiver);
        if (one.do === "send") await other.send(one.keys);
      }
      await settle(tenant, receiver);
      await settle(other, receiver);
      await ring(tenant.endpoint);
      await expectPromises(tenant, receiver);
      await expectPromises(other, receiver);
    }),
    { numRuns: RUNS },
  );
}, 60_000);
