/** The retry schedule, Retry-After, and what the end of an attempt means. */
import { describe, expect, it } from "vitest";
import { judge } from "../../src/endpoint/attempt.ts";
import { ATTEMPT_DELAYS_MS, nextAttemptMs, readRetryAfter } from "../../src/endpoint/schedule.ts";

const HOUR_MS = 3_600_000;
const NOW_MS = Date.parse("2026-11-22T03:00:00Z");

describe("the retry schedule", () => {
  it("has ten attempts in a little over three days", () => {
    expect(ATTEMPT_DELAYS_MS).toHaveLength(10);
    expect(ATTEMPT_DELAYS_MS.reduce((sum, ms) => sum + ms, 0) / HOUR_MS).toBeCloseTo(75.58, 1);
  });

  it("waits never less than it says and at most a tenth more", () => {
    for (const [done, delayMs] of ATTEMPT_DELAYS_MS.entries()) {
      if (done === 0) continue;
      expect(nextAttemptMs(done, NOW_MS, null, 0)).toBe(NOW_MS + delayMs);
      const latestMs = nextAttemptMs(done, NOW_MS, null, 0.999_999) ?? 0;
      expect(latestMs).toBeGreaterThan(NOW_MS + delayMs);
      expect(latestMs).toBeLessThanOrEqual(NOW_MS + delayMs * 1.1);
    }
    expect(nextAttemptMs(10, NOW_MS, null, 0)).toBeNull();
  });

  it("waits longer when asked to, and not a day longer than that", () => {
    expect(nextAttemptMs(1, NOW_MS, 60_000, 0)).toBe(NOW_MS + 60_000);
    expect(nextAttemptMs(4, NOW_MS, 60_000, 0)).toBe(NOW_MS + 2 * HOUR_MS);
  });
});

describe("Retry-After", () => {
  it("is read as seconds or as a date, bounded by a day", () => {
    expect(readRetryAfter("120", NOW_MS)).toBe(120_000);
    expect(readRetryAfter("Sun, 22 Nov 2026 04:00:00 GMT", NOW_MS)).toBe(HOUR_MS);
    expect(readRetryAfter("Sun, 22 Nov 2026 02:00:00 GMT", NOW_MS)).toBe(0);
    expect(readRetryAfter("864000", NOW_MS)).toBe(24 * HOUR_MS);
  });

  it("is ignored when it cannot be read", () => {
    for (const header of [null, "", "soon", "-5", "1e3x", "12345678901234567890"]) {
      expect(readRetryAfter(header, NOW_MS), `for ${header}`).toBeNull();
    }
  });
});

describe("the end of an attempt", () => {
  const answered = (status: number, retryAfter: string | null = null) =>
    ({ kind: "answered", status, retryAfter, answer: "", durationMs: 5 }) as const;

  it("is a delivery for 2xx only", () => {
    for (const status of [200, 201, 204, 299]) {
      expect(judge(answered(status), 1, NOW_MS, 0)).toEqual({ kind: "delivered" });
    }
    for (const status of [0, 100, 300, 301, 304, 400, 404, 500, 503]) {
      expect(judge(answered(status), 1, NOW_MS, 0).kind, `for ${status}`).toBe("retry");
    }
    expect(judge(answered(410), 1, NOW_MS, 0)).toEqual({ kind: "gone" });
  });

  it("honours Retry-After with 429 and 503 only, and gives up after the tenth", () => {
    const asked = { kind: "retry", atMs: NOW_MS + HOUR_MS, askedFor: true };
    expect(judge(answered(429, "3600"), 1, NOW_MS, 0)).toEqual(asked);
    expect(judge(answered(503, "3600"), 1, NOW_MS, 0)).toEqual(asked);
    expect(judge(answered(500, "3600"), 1, NOW_MS, 0)).toMatchObject({ atMs: NOW_MS + 5_000 });
    expect(judge(answered(503, "3600"), 10, NOW_MS, 0)).toEqual({ kind: "gave_up" });
    expect(judge({ kind: "timeout", durationMs: 1 }, 10, NOW_MS, 0)).toEqual({ kind: "gave_up" });
    expect(judge({ kind: "address_refused" }, 9, NOW_MS, 0).kind).toBe("retry");
  });
});
