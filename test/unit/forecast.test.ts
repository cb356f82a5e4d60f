/** Which messages can still leave in time, judged against a phone that is played minute by minute. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { isHopeless, type Candidate, type InLine } from "../../src/device/forecast.ts";
import { LineLoad } from "../../src/device/line-load.ts";
import { Pace } from "../../src/device/pace.ts";
import type { RandomBytes } from "../../src/domain/id.ts";

const NOW_MS = 1_800_000_000_000;
const OTP_LIFE_MS = 300_000;
const half: RandomBytes = (count) => new Uint8Array(count).fill(0x80);

function waiting(count: number, over: Partial<InLine> = {}): InLine[] {
  return Array.from({ length: count }, (_, index) => ({
    priority: 0,
    nextMs: NOW_MS,
    recipient: `contact-${index}`,
    textLength: 40,
    ...over,
  }));
}

function otp(over: Partial<Candidate> = {}): Candidate {
  const expiresMs = NOW_MS + OTP_LIFE_MS;
  return { priority: 0, nextMs: NOW_MS, recipient: "mine", textLength: 40, expiresMs, ...over };
}

function lineOf(all: InLine[], reads: { count: number } = { count: 0 }) {
  return {
    waitingCount: () => all.length,
    before: (priority: number, dueMs: number) => {
      reads.count += 1;
      return all.filter((one) => one.priority <= priority && one.nextMs <= dueMs);
    },
    load: new LineLoad(
      () => all,
      (textLength) => new Pace(true, half).meanStepMs(textLength),
    ),
  };
}

function hopeless(candidate: Candidate, all: InLine[], taken: InLine[] = []): boolean {
  return isHopeless(candidate, lineOf(all), taken, new Pace(true, half), NOW_MS);
}

describe("a message behind others", () => {
  it("is taken while its turn comes within its life, and refused from then on", () => {
    const counts = Array.from({ length: 120 }, (_, count) => count);
    const firstRefused = counts.find((count) => hopeless(otp(), waiting(count))) ?? 0;
    // 4.75 s each on average, and a little for chance.
    expect(firstRefused).toBeGreaterThan(45);
    expect(firstRefused).toBeLessThan(64);
    for (const count of counts.slice(firstRefused))
      expect(hopeless(otp(), waiting(count))).toBe(true);
  });

  it("counts those of the same call that were just taken", () => {
    expect(hopeless(otp(), waiting(30), waiting(2))).toBe(false);
    expect(hopeless(otp(), waiting(30), waiting(60))).toBe(true);
  });

  it("does not wait for less urgent ones, nor for those that are due later", () => {
    expect(hopeless(otp(), waiting(200, { priority: 1 }))).toBe(false);
    expect(hopeless(otp(), waiting(200, { nextMs: NOW_MS + 60_000 }))).toBe(false);
  });

  it("waits for what is due before it, when it is itself for later", () => {
    const later = { nextMs: NOW_MS + 3_600_000, expiresMs: NOW_MS + 3_600_000 + OTP_LIFE_MS };
    expect(hopeless(otp(later), waiting(200))).toBe(false);
    expect(hopeless(otp(later), waiting(200, { nextMs: later.nextMs - 1_000 }))).toBe(true);
  });

  it("knows that long texts are typed longer, and one contact is not written to without a pause", () => {
    expect(hopeless(otp(), waiting(20, { textLength: 1_000 }))).toBe(true);
    expect(hopeless(otp(), waiting(20))).toBe(false);
    expect(hopeless(otp({ recipient: "one" }), waiting(52, { recipient: "one" }))).toBe(true);
  });

  it("is never refused when nothing is paced", () => {
    const off = new Pace(false, half);
    expect(isHopeless(otp(), lineOf(waiting(5_000)), [], off, NOW_MS)).toBe(false);
  });

  it("does not have the line read while so few wait that nothing could keep it", () => {
    const reads = { count: 0 };
    const day = otp({ expiresMs: NOW_MS + 86_400_000 });
    isHopeless(day, lineOf(waiting(4_000), reads), [], new Pace(true, half), NOW_MS);
    expect(reads.count).toBe(0);
  });
});

/** Lets a phone work through the line at the pace that it really keeps; answers when the last one leaves. */
function playedMs(all: InLine[], random: RandomBytes): number {
  const pace = new Pace(true, random);
  let nowMs = NOW_MS;
  for (const { recipient, textLength } of all) {
    nowMs = Math.max(pace.nextMs(nowMs), pace.recipientFreeMs(recipient));
    pace.handedOver(recipient, pace.typingMs("x".repeat(textLength)), nowMs);
  }
  return pace.nextMs(nowMs);
}

describe("the forecast", () => {
  it("lets through what would expire in less than one line of twenty, and refuses nothing without need", () => {
    let expired = 0;
    let refusedThoughInTime = 0;
    const lines = 400;
    let seed = 1;
    const random: RandomBytes = (count) =>
      Uint8Array.from({ length: count }, () => {
        seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648;
        return Math.floor(seed / 65_536) % 256;
      });
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 10, max: 400 }), { minLength: 30, maxLength: 75 }),
        (lengths) => {
          const all = waiting(lengths.length).map((one, index) => ({
            ...one,
            textLength: lengths[index] ?? 0,
          }));
          const leavesMs = playedMs(all, random);
          const isLate = leavesMs >= NOW_MS + OTP_LIFE_MS;
          if (hopeless(otp(), all)) {
            if (leavesMs < NOW_MS + OTP_LIFE_MS * 0.8) refusedThoughInTime += 1;
          } else if (isLate) expired += 1;
        },
      ),
      { numRuns: lines, seed: 7 },
    );
    expect(expired).toBeLessThan(lines / 20);
    expect(refusedThoughInTime).toBe(0);
  });
});

describe("a long line", () => {
  const LIFE_MS = 24 * 3_600_000;
  const day = (over: Partial<Candidate> = {}): Candidate =>
    otp({ priority: 1, expiresMs: (over.nextMs ?? NOW_MS) + LIFE_MS, ...over });
  const pace = new Pace(true, half);

  /** What reading the whole line says, apart from a slot's width and the allowance for chance. */
  function throughMs(all: readonly InLine[], dueMs: number): number {
    let freeMs = NOW_MS;
    const before = all.filter(({ priority, nextMs }) => priority <= 1 && nextMs <= dueMs);
    for (const { nextMs, textLength } of before.toSorted((a, b) => a.nextMs - b.nextMs)) {
      freeMs = Math.max(freeMs, nextMs) + pace.meanStepMs(textLength);
    }
    return freeMs;
  }

  it("is judged by sums as it is by reading it, to within a slot, however it lies", () => {
    const one = fc.record({
      priority: fc.integer({ min: 0, max: 2 }),
      nextMs: fc.integer({ min: NOW_MS - 60_000, max: NOW_MS + 6 * 3_600_000 }),
      textLength: fc.integer({ min: 10, max: 1_000 }),
      recipient: fc.constantFrom("a", "b", "c"),
    });
    fc.assert(
      fc.property(
        fc.array(one, { minLength: 600, maxLength: 1_500 }),
        fc.integer({ min: NOW_MS, max: NOW_MS + 7 * 3_600_000 }),
        (all, dueMs) => {
          const load = new LineLoad(
            () => all,
            (textLength) => pace.meanStepMs(textLength),
          );
          const least = throughMs(all, dueMs);
          // Those of the same minute that are due a little later are counted as well.
          const most = throughMs(all, dueMs + 60_000) + 60_000;
          const told = load.throughMs(1, dueMs, NOW_MS);
          expect(told).toBeGreaterThanOrEqual(Math.min(least, most) - 60_000);
          expect(told).toBeLessThanOrEqual(most);
        },
      ),
      { numRuns: 60 },
    );
  });

  it("follows what comes and goes as if it were built anew", () => {
    const all = waiting(2_000, { priority: 1 }).map((each, index) => ({
      ...each,
      nextMs: NOW_MS + (index % 300) * 60_000,
    }));
    const kept: InLine[] = all.slice(0, 1_000);
    const load = new LineLoad(
      () => kept.slice(),
      (textLength) => pace.meanStepMs(textLength),
    );
    const before = load.throughMs(1, NOW_MS + LIFE_MS, NOW_MS);
    for (const each of all.slice(1_000)) load.added(each);
    for (const each of all.slice(1_000)) load.removed(each);
    expect(load.throughMs(1, NOW_MS + LIFE_MS, NOW_MS)).toBeCloseTo(before, 3);
    expect(load.count(1)).toBe(1_000);
    for (const each of kept) load.removed(each);
    expect(load.throughMs(1, NOW_MS + LIFE_MS, NOW_MS)).toBe(NOW_MS);
    expect(load.recipientCount(1, "contact-3")).toBe(0);
  });

  it("of 100,000 for the coming weeks is not read for a text that is due now, nor for one in it", () => {
    const all = Array.from({ length: 100_000 }, (_, index) => ({
      priority: 2,
      nextMs: NOW_MS + index * 20_000,
      recipient: `contact-${index}`,
      textLength: 80,
    }));
    const reads = { count: 0 };
    const line = lineOf(all, reads);
    expect(isHopeless(day(), line, [], pace, NOW_MS)).toBe(false);
    expect(
      isHopeless(day({ nextMs: NOW_MS + 500_000_000, priority: 2 }), line, [], pace, NOW_MS),
    ).toBe(false);
    // What is as urgent as the first: nothing.
    expect(reads.count).toBe(1);
  });

  it("of so many due at once that a day does not do is refused without reading it", () => {
    const reads = { count: 0 };
    const line = lineOf(waiting(100_000, { priority: 1 }), reads);
    expect(isHopeless(day(), line, [], pace, NOW_MS)).toBe(true);
    expect(isHopeless(day({ priority: 0 }), line, [], pace, NOW_MS)).toBe(false);
    // The urgent lane is empty: that alone is read.
    expect(reads.count).toBe(1);
  });
});
