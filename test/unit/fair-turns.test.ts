/** Turns of work under one name: how much at a time, in which order, and what becomes of who waits too long. */
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { FairTurns } from "../../src/gateway/fair-turns.ts";

const RULES = {
  runningMax: 2,
  crowdedAt: 5,
  waitingMax: 12,
  waitMaxMs: 2_000,
  lostAfterMs: 10_000,
};

beforeEach(() => {
  vi.useFakeTimers();
});

afterEach(() => {
  vi.useRealTimers();
});

interface Job {
  name: string;
  outcome: Promise<string | null>;
  end: () => void;
}

function desk() {
  const turns = new FairTurns(RULES, Date.now);
  const begun: string[] = [];
  const start = (name: string, who = "a"): Job => {
    const { promise, resolve } = Promise.withResolvers<string>();
    const outcome = turns.run(who, async () => {
      begun.push(name);
      return promise;
    });
    return { name, outcome, end: () => resolve(name) };
  };
  return { turns, begun, start };
}

/** Whoever waits looks again within this. */
const settle = () => vi.advanceTimersByTimeAsync(300);

describe("work of one name", () => {
  it("runs so much at a time, and the rest in the order in which it came", async () => {
    const { begun, start } = desk();
    const jobs = ["1", "2", "3", "4", "5"].map((name) => start(name));
    await settle();
    expect(begun).toEqual(["1", "2"]);
    jobs[1]?.end();
    await settle();
    expect(begun).toEqual(["1", "2", "3"]);
    jobs[0]?.end();
    jobs[2]?.end();
    await settle();
    expect(begun).toEqual(["1", "2", "3", "4", "5"]);
    jobs[3]?.end();
    jobs[4]?.end();
    expect(await Promise.all(jobs.map(({ outcome }) => outcome))).toEqual([
      "1",
      "2",
      "3",
      "4",
      "5",
    ]);
  });

  it("does not make another name wait", async () => {
    const { begun, start } = desk();
    for (let n = 0; n < 6; n += 1) void start(`a${n}`).outcome;
    void start("b0", "b").outcome;
    await settle();
    expect(begun).toEqual(["a0", "a1", "b0"]);
  });

  it("is not begun when too much waits, or when its turn does not come in time", async () => {
    const { begun, start } = desk();
    const jobs = Array.from({ length: 15 }, (_, n) => start(String(n)));
    expect(await jobs[14]?.outcome).toBe(null);
    await vi.advanceTimersByTimeAsync(2_400);
    expect(await Promise.all(jobs.slice(2).map(({ outcome }) => outcome))).toEqual(
      Array(13).fill(null),
    );
    expect(begun).toEqual(["0", "1"]);
  });

  it("runs one at a time while many wait", async () => {
    const { begun, start } = desk();
    const jobs = Array.from({ length: 9 }, (_, n) => start(String(n)));
    await settle();
    expect(begun).toEqual(["0", "1"]);
    jobs[0]?.end();
    await settle();
    // Seven in line: the place stays empty.
    expect(begun).toEqual(["0", "1"]);
    jobs[1]?.end();
    await settle();
    expect(begun).toEqual(["0", "1", "2"]);
    jobs[2]?.end();
    await settle();
    // Five in line: two at a time again.
    expect(begun).toEqual(["0", "1", "2", "3", "4"]);
  });

  it("gives its place back when it fails, and when it is never heard of again", async () => {
    const { turns, begun, start } = desk();
    await expect(turns.run("a", async () => Promise.reject(new Error("broken")))).rejects.toThrow(
      "broken",
    );
    start("lost-1");
    start("lost-2");
    await vi.advanceTimersByTimeAsync(9_000);
    const late = start("late");
    await vi.advanceTimersByTimeAsync(1_500);
    expect(begun).toEqual(["lost-1", "lost-2", "late"]);
    late.end();
    expect(await late.outcome).toBe("late");
  });

  it("keeps to the number at a time when one that was taken for gone comes back", async () => {
    const { begun, start } = desk();
    const before = [start("1"), start("2")];
    start("late");
    // Its timer is late: nothing was heard of it for longer than that counts as waiting.
    vi.setSystemTime(Date.now() + 1_500);
    for (const job of before) job.end();
    await vi.advanceTimersByTimeAsync(0);
    const between = start("between");
    await vi.advanceTimersByTimeAsync(0);
    between.end();
    await vi.advanceTimersByTimeAsync(0);
    const others = [start("3"), start("4")];
    await vi.advanceTimersByTimeAsync(0);
    expect(begun).toEqual(["1", "2", "between", "3", "4"]);
    await vi.advanceTimersByTimeAsync(100);
    expect(begun).toEqual(["1", "2", "between", "3", "4"]);
    others[0]?.end();
    await settle();
    expect(begun.at(-1)).toBe("late");
  });

  it("is forgotten when its requests were never heard of again", async () => {
    const { turns, start } = desk();
    for (let n = 0; n < 10_000; n += 1) start("lost", `name-${n}`);
    await vi.advanceTimersByTimeAsync(10_500);
    start("1", "another");
    expect(turns.names).toBe(1);
  });
});
