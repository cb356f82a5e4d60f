/** Whose sends wait for whose: many at once of one account, seen at the calls that reach D1. */
import { afterEach, expect, it } from "vitest";
import { setSaboteur } from "../../src/domain/crossing.ts";
import { freshText, newCustomer, newKey, send, type Customer } from "./support/harness.ts";
import { v1 } from "./support/v1.ts";

const UNDER_WAY_MAX = 2;
const OTHERS_UNDER_WAY_MAX = 4;

afterEach(() => setSaboteur(null));

const one = (customer: Customer) =>
  send(customer, [{ number: "6281234567890", message: freshText() }]);

/** Calls of this name begin, and the first so many do not go on until released. */
function heldCalls(name: string, count: number) {
  const { promise, resolve } = Promise.withResolvers<void>();
  const held = { begun: 0, release: resolve };
  setSaboteur(async (crossing, call) => {
    if (crossing.name !== name) return call();
    held.begun += 1;
    if (held.begun <= count) await promise;
    return call();
  });
  return held;
}

/** Answers when so many have begun, or fails the test by its timeout. */
async function untilBegun(held: { begun: number }, count: number): Promise<void> {
  while (held.begun < count) await scheduler.wait(5);
}

it("two sends of one account are under way at a time, whichever of its keys they come by", async () => {
  const customer = await newCustomer();
  const other = { ...customer, apiKey: await newKey(customer.accountId) };
  for (const known of [customer, other]) await one(known);
  const held = heldCalls("device.enqueue", UNDER_WAY_MAX);
  const sends = Array.from({ length: 8 }, (_, n) => one(n % 2 === 0 ? customer : other));
  await untilBegun(held, UNDER_WAY_MAX);
  await scheduler.wait(50);
  expect(held.begun).toBe(UNDER_WAY_MAX);
  held.release();
  const answers = await Promise.all(sends);
  expect(answers.map(({ globalstatus }) => globalstatus)).toEqual(Array(8).fill(10));
});

it("four other requests of one account are under way at a time, and its sends wait for none of them", async () => {
  const customer = await newCustomer();
  await one(customer);
  const held = heldCalls("read_access", OTHERS_UNDER_WAY_MAX);
  const reads = Array.from({ length: 7 }, () => v1("GET", "/balance", customer.apiKey));
  await untilBegun(held, OTHERS_UNDER_WAY_MAX);
  expect((await one(customer)).globalstatus).toBe(10);
  await scheduler.wait(50);
  expect(held.begun).toBe(OTHERS_UNDER_WAY_MAX);
  held.release();
  const answers = await Promise.all(reads);
  expect(answers.map(({ status }) => status)).toEqual(Array(7).fill(200));
});

it("who names another's phone waits for himself, and its owner not for him", async () => {
  const owner = await newCustomer();
  const stranger = await newCustomer();
  for (const known of [owner, stranger]) await one(known);
  // Two batches that do not end: the stranger has no turn left.
  const held = heldCalls("accept", UNDER_WAY_MAX);
  const foreign = { ...stranger, waid: owner.waid };
  let answered = 0;
  const refused = Array.from({ length: 2 * UNDER_WAY_MAX }, async () => {
    const answer = await one(foreign);
    answered += 1;
    return answer;
  });
  await untilBegun(held, UNDER_WAY_MAX);
  expect((await one(owner)).globalstatus).toBe(10);
  expect(answered).toBe(0);
  held.release();
  const told = await Promise.all(refused);
  expect(new Set(told.map(({ globalstatus }) => globalstatus))).toEqual(new Set([30]));
});
