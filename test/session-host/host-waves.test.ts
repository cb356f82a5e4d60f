/** How many logins a host begins, and when: places, rate, orders from the fleet. Time is moved by hand. */
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { systemClock } from "../../session-host/clock.ts";
import { LoginWaves } from "../../session-host/login-waves.ts";

/** Without a rate. */
const UNBOUND = { atOnce: 1, perSecond: Number.POSITIVE_INFINITY };

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] });
});
afterEach(() => {
  vi.useRealTimers();
});

test("only so many logins run at once, in order, and a place is given back once", async () => {
  const waves = new LoginWaves(systemClock, UNBOUND);
  const signal = new AbortController().signal;
  const first = await waves.enter(signal);
  const leaving = new AbortController();
  const left = waves.enter(leaving.signal);
  const order: string[] = [];
  const second = waves.enter(signal).then((release) => {
    order.push("second");
    return release;
  });
  const third = waves.enter(signal).then((release) => {
    order.push("third");
    return release;
  });
  leaving.abort();
  expect(await left).toBeNull();
  first?.();
  first?.();
  (await second)?.();
  (await third)?.();
  expect(order).toEqual(["second", "third"]);
});

/** Enters so many; answers when each was let in. */
function enterAll(waves: LoginWaves, count: number): { startsMs: number[]; leave: (() => void)[] } {
  const entered = { startsMs: [] as number[], leave: [] as (() => void)[] };
  const { signal } = new AbortController();
  const enter = async (): Promise<void> => {
    const release = await waves.enter(signal);
    entered.startsMs.push(performance.now());
    if (release !== null) entered.leave.push(release);
  };
  for (let one = 0; one < count; one += 1) void enter();
  return entered;
}

test("no more begin in a second than the rate allows, however many places are free", async () => {
  const waves = new LoginWaves(systemClock, { atOnce: 100, perSecond: 10 });
  const { startsMs } = enterAll(waves, 30);
  await vi.advanceTimersByTimeAsync(5_000);
  expect(startsMs).toHaveLength(30);
  for (const [index, startMs] of startsMs.entries()) {
    const within = startsMs.filter((other) => other >= startMs && other < startMs + 1_000);
    expect(within.length, `from the start of ${index}`).toBeLessThanOrEqual(10);
  }
});

test("the fleet's share holds from then on, but never above the host's own places", async () => {
  const waves = new LoginWaves(systemClock, { atOnce: 3, perSecond: 1_000 });
  waves.limit({ atOnce: 2, perSecond: 1_000 });
  const { startsMs, leave } = enterAll(waves, 10);
  await vi.advanceTimersByTimeAsync(1_000);
  expect(startsMs).toHaveLength(2);
  waves.limit({ atOnce: 50, perSecond: 1_000 });
  await vi.advanceTimersByTimeAsync(1_000);
  expect(startsMs).toHaveLength(3);
  for (const release of leave.splice(0)) release();
  await vi.advanceTimersByTimeAsync(1_000);
  expect(startsMs).toHaveLength(6);
});

test("a slow rate that is raised does not keep anybody waiting for its old pause", async () => {
  const waves = new LoginWaves(systemClock, { atOnce: 10, perSecond: 0.1 });
  const { startsMs } = enterAll(waves, 2);
  await vi.advanceTimersByTimeAsync(1_000);
  expect(startsMs).toHaveLength(1);
  waves.limit({ atOnce: 10, perSecond: 100 });
  await vi.advanceTimersByTimeAsync(20);
  expect(startsMs).toHaveLength(2);
});

test("while stopped nobody is let in and nobody is sent away", async () => {
  const waves = new LoginWaves(systemClock, { atOnce: 10, perSecond: 1_000 });
  waves.stop();
  const { startsMs } = enterAll(waves, 5);
  await vi.advanceTimersByTimeAsync(60_000);
  expect([startsMs.length, waves.waiting]).toEqual([0, 5]);
  waves.resume();
  await vi.advanceTimersByTimeAsync(100);
  expect([startsMs.length, waves.waiting]).toEqual([5, 0]);
});
