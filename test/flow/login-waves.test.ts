/**
 * Fifty phones whose host is killed: how soon all of them are back, and how many logins were under way at once, by what the
 * simulated WhatsApp saw.
 */
import { beforeAll, expect, test } from "vitest";
import { useFlow } from "./support/flow.ts";
import type { Customer } from "./support/stack.ts";
import type { Connection } from "./support/whatsapp.ts";

const PHONES = 50;
/** Paired so many at a time: making keys is what takes long. */
const PAIRED_AT_ONCE = 5;
/** 5 s is the promise; other test files share this machine's cores. The time itself is printed. */
const BACK_MAX_MS = 8_000;
const AT_ONCE_MAX = 8;
const PER_SECOND_MAX = 40;

const vars = { LOGINS_AT_ONCE: String(AT_ONCE_MAX), LOGINS_PER_SECOND: String(PER_SECOND_MAX) };
const flow = useFlow({ hosts: 1, vars });
const numbers = Array.from({ length: PHONES }, (_, n) => `62812346${String(20_001 + n)}`);
const customers: Customer[] = [];

beforeAll(async () => {
  const waiting = [...numbers];
  const pairNext = async (): Promise<void> => {
    for (let phone = waiting.shift(); phone !== undefined; phone = waiting.shift()) {
      customers.push(await flow.customer(phone));
    }
  };
  await Promise.all(Array.from({ length: PAIRED_AT_ONCE }, pairNext));
}, 240_000);

/** The most that were between their first byte and the end of their login at one moment. */
function mostAtOnce(logins: readonly Connection[]): number {
  const turns = logins.flatMap(({ openedMs, onlineMs, endedMs }) => [
    { atMs: openedMs, change: 1 },
    { atMs: onlineMs ?? endedMs ?? Number.POSITIVE_INFINITY, change: -1 },
  ]);
  turns.sort((one, other) => one.atMs - other.atMs || one.change - other.change);
  let now = 0;
  let most = 0;
  for (const { change } of turns) {
    now += change;
    most = Math.max(most, now);
  }
  return most;
}

/** The most that began within any one second. */
function mostInASecond(logins: readonly Connection[]): number {
  const starts = logins.map(({ openedMs }) => openedMs);
  return Math.max(
    ...starts.map((atMs) => starts.filter((one) => one >= atMs && one < atMs + 1_000).length),
  );
}

test("fifty phones are back soon after their placement, never more logins at once than allowed", async () => {
  await flow.stack.addHost();
  const killedMs = Date.now();
  await flow.stack.hosts[0]?.kill();
  const back = (connections: readonly Connection[]): Connection[] =>
    connections.filter(({ openedMs, number }) => openedMs >= killedMs && number !== "");
  const logins = await flow.until("all phones to be online again", async () => {
    const seen = back((await flow.whatsapp.evidence()).connections);
    return seen.filter(({ onlineMs }) => onlineMs !== null).length === PHONES ? seen : null;
  });
  const placedMs = Math.min(...logins.map(({ openedMs }) => openedMs));
  const lastMs = Math.max(...logins.map(({ onlineMs }) => onlineMs ?? 0));
  process.stdout.write(
    `fifty phones: first login ${placedMs - killedMs} ms after the kill, all back ${lastMs - placedMs} ms later; ` +
      `at most ${mostAtOnce(logins)} at once, ${mostInASecond(logins)} in a second\n`,
  );
  expect(new Set(logins.map(({ number }) => number)).size).toBe(PHONES);
  expect(logins).toHaveLength(PHONES);
  expect(mostAtOnce(logins)).toBeLessThanOrEqual(AT_ONCE_MAX);
  expect(mostInASecond(logins)).toBeLessThanOrEqual(PER_SECOND_MAX + 1);
  expect(lastMs - placedMs).toBeLessThan(BACK_MAX_MS);
  for (const customer of customers) await flow.untilDevice(customer, "connected");
});
