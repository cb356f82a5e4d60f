/**
 * Everything between a phone and the customer's server at random: calls of the hand-over lost or unanswered, restarts and
 * crashes of device and endpoint, receivers in every mood. Each text and each status reaches each endpoint that wants it
 * at least once, in the order of its chat or message, or lies among the dead letters; nobody hears of another's.
 */
import fc from "fast-check";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { setSaboteur } from "../../src/domain/crossing.ts";
import { unwrap } from "./device-support.ts";
import { deadOf, type Delivery, passTime, Receiver, START } from "./endpoint-support.ts";
import { type Hook, itemOf, type Proof, Tenant } from "./feed-tenant.ts";

/** More runs by hand; the seed is printed. */
const RUNS = 8;
const SEED = Date.now() % 2 ** 31;
const HOUR_MS = 3_600_000;
const CONTACTS = 3;

type Step =
  | { do: "text"; from: number; count: number }
  | { do: "send" }
  | { do: "prove"; proof: Proof }
  /** What becomes of the next calls of the hand-over. */
  | { do: "break"; calls: number; takesEffect: boolean }
  | { do: "receiver"; answer: number }
  | { do: "moody"; from: number }
  | { do: "pass"; ms: number }
  | { do: "restart"; what: "device" | "endpoint"; how: "evict" | "crash" };

const contact = fc.nat(CONTACTS - 1);

const anyStep: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant("text" as const),
      from: contact,
      count: fc.integer({ min: 1, max: 4 }),
    }),
  },
  { weight: 4, arbitrary: fc.record({ do: fc.constant("send" as const) }) },
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constant("prove" as const),
      proof: fc.constantFrom<Proof>("ack", "delivered", "read", "error"),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant("break" as const),
      calls: fc.integer({ min: 1, max: 4 }),
      takesEffect: fc.boolean(),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant("receiver" as const),
      answer: fc.constantFrom(200, 200, 500, 302, 429),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("moody" as const), from: contact }) },
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constant("pass" as const),
      ms: fc.constantFrom(1_000, 6_000, 61_000, 400_000, 11 * HOUR_MS),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant("restart" as const),
      what: fc.constantFrom("device" as const, "endpoint" as const),
      how: fc.constantFrom("evict" as const, "crash" as const),
    }),
  },
);

/** The next calls of the hand-over fail, with or without having taken effect. */
function breakHandOver(calls: number, takesEffect: boolean): void {
  let left = calls;
  setSaboteur(async (crossing, call) => {
    if (crossing.name !== "endpoint.deliver" || left <= 0) return call();
    left -= 1;
    if (takesEffect) await call();
    throw new Error("the wire broke");
  });
}

interface Scene {
  tenants: readonly Tenant[];
  receiver: Receiver;
}

async function answerAll(tenants: readonly Tenant[]): Promise<void> {
  for (const tenant of tenants) await tenant.answerAll();
}

async function act(step: Step, tenant: Tenant, { tenants, receiver }: Scene): Promise<void> {
  switch (step.do) {
    case "text":
      return tenant.text(step.from, step.count);
    case "send":
      return tenant.send();
    case "prove":
      return tenant.prove(step.proof);
    case "break":
      breakHandOver(step.calls, step.takesEffect);
      return;
    case "receiver":
      receiver.answer = () => new Response("", { status: step.answer });
      return;
    case "moody":
      receiver.answer = ({ body }) =>
        new Response("", { status: body.includes(`62812000000${10 + step.from}`) ? 500 : 200 });
      return;
    case "pass":
      await answerAll(tenants);
      return tenant.passTime(step.ms);
    case "restart":
      return tenant.restart(step.what, step.how);
  }
}

function triesAt({ url }: Hook, receiver: Receiver): Delivery[] {
  return receiver.deliveries.filter((delivery) => delivery.url === url);
}

function wantedBy(hook: Hook, tenant: Tenant): string[] {
  const items = tenant.items.filter(({ key }) => !hook.onlyTexts || key.includes("@"));
  return items.map(({ name }) => name);
}

function heardAt(hook: Hook, receiver: Receiver): Set<string> {
  const tries = triesAt(hook, receiver).filter(({ succeeded }) => succeeded);
  return new Set(tries.flatMap((delivery) => itemOf(delivery) ?? []));
}

/** What never came, after everything that failed was sent again. */
async function missingAt(hook: Hook, tenant: Tenant, receiver: Receiver): Promise<string[]> {
  const { endpoint } = hook;
  await unwrap(endpoint.stub.replay(endpoint.who, { kind: "failed" }, null));
  for (let turn = 0; turn < 5; turn += 1) await passTime(endpoint, HOUR_MS);
  const heard = heardAt(hook, receiver);
  return wantedBy(hook, tenant).filter((name) => !heard.has(name));
}

/** Tries of something before that which should come first was through, one way or the other. */
async function outOfOrderAt(hook: Hook, tenant: Tenant, receiver: Receiver): Promise<string[]> {
  const tries = triesAt(hook, receiver);
  const dead = new Set((await deadOf(hook.endpoint)).map(({ eventId }) => eventId));
  const through = new Set(tries.flatMap((one) => (dead.has(one.id) ? (itemOf(one) ?? []) : [])));
  const wrong: string[] = [];
  for (const delivery of tries) {
    const name = itemOf(delivery);
    const item = tenant.items.find((one) => one.name === name);
    if (name === null || item === undefined) continue;
    const chain = tenant.items.filter(({ key }) => key === item.key).map((one) => one.name);
    const early = chain.slice(0, chain.indexOf(name)).filter((one) => !through.has(one));
    wrong.push(...early.map((one) => `${name} was tried before ${one}`));
    if (delivery.succeeded) through.add(name);
  }
  return wrong;
}

function foreignAt(hook: Hook, tenant: Tenant, receiver: Receiver): string[] {
  const own = new Set(wantedBy(hook, tenant));
  return triesAt(hook, receiver)
    .map(itemOf)
    .filter((name) => name !== null && !own.has(name))
    .map(String);
}

async function expectPromises(tenant: Tenant, receiver: Receiver): Promise<void> {
  const isDone = (): boolean =>
    tenant.hooks.every((hook) => {
      const tried = new Set(triesAt(hook, receiver).map(itemOf));
      return wantedBy(hook, tenant).every((name) => tried.has(name));
    });
  await tenant.settle(isDone);
  for (const hook of tenant.hooks) {
    expect(foreignAt(hook, tenant, receiver)).toEqual([]);
    expect(await outOfOrderAt(hook, tenant, receiver)).toEqual([]);
    expect(await missingAt(hook, tenant, receiver)).toEqual([]);
  }
}

beforeEach(() => {
  vi.setSystemTime(START);
});

afterEach(() => {
  setSaboteur(null);
  vi.restoreAllMocks();
  vi.useRealTimers();
});

it("tells each endpoint everything it wants, in order, and nothing of others, whatever happens", async () => {
  const receiver = new Receiver();
  let run = 0;
  let told = 0;
  await fc.assert(
    fc.asyncProperty(
      fc.array(anyStep, { minLength: 6, maxLength: 22, size: "max" }),
      async (steps) => {
        run += 1;
        receiver.deliveries.length = 0;
        receiver.answer = () => new Response("ok");
        const tenants = [await Tenant.make(`a${run}`), await Tenant.make(`b${run}`)];
        for (const [at, step] of steps.entries()) {
          const tenant = tenants[at % 3 === 2 ? 1 : 0];
          if (tenant !== undefined) await act(step, tenant, { tenants, receiver });
        }
        setSaboteur(null);
        receiver.answer = () => new Response("ok");
        await answerAll(tenants);
        for (const tenant of tenants) await expectPromises(tenant, receiver);
        told += tenants.flatMap(({ items }) => items).length;
      },
    ),
    { numRuns: RUNS, seed: SEED },
  );
  console.info(`feed model: seed ${SEED}, ${RUNS} runs, ${told} texts and statuses`);
  expect(told).toBeGreaterThan(RUNS * 3);
}, 240_000);
