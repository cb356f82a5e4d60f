/** Token buckets: what may be taken at once, how they fill, and that memory is bounded. */
import { describe, expect, it } from "vitest";
import { TokenBuckets } from "../../src/domain/token-bucket.ts";

const RULES = { tokensMax: 6, fillMs: 60_000, namesMax: 3 };

describe("a bucket", () => {
  it("gives what it holds at once, then one token as often as it fills", () => {
    const buckets = new TokenBuckets(RULES);
    const taken = Array.from({ length: 8 }, () => buckets.take("a", 1_000).isAllowed);
    expect(taken).toEqual([true, true, true, true, true, true, false, false]);
    expect(buckets.take("a", 10_999)).toEqual({
      isAllowed: false,
      left: 0,
      nextMs: 1,
      fullMs: 50_001,
    });
    expect(buckets.take("a", 11_000)).toEqual({
      isAllowed: true,
      left: 0,
      nextMs: 10_000,
      fullMs: 60_000,
    });
    expect(buckets.peek("a", 1_000_000)).toEqual({
      isAllowed: true,
      left: 6,
      nextMs: 0,
      fullMs: 0,
    });
  });

  it("is looked at without being touched, and gains nothing from a clock that ran backwards", () => {
    const buckets = new TokenBuckets(RULES);
    expect(buckets.peek("a", 5_000).left).toBe(6);
    buckets.take("a", 5_000);
    expect(buckets.peek("a", 0).left).toBe(5);
    expect(buckets.peek("a", 0).left).toBe(5);
  });

  it("is forgotten when more names come than are kept, the one used longest ago first", () => {
    const buckets = new TokenBuckets(RULES);
    for (const name of ["a", "b", "c", "a", "d"]) buckets.take(name, 0);
    expect(["a", "b", "c", "d"].map((name) => buckets.peek(name, 0).left)).toEqual([4, 6, 5, 5]);
  });
});
