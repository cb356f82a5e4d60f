/** The names of keys as an isolate keeps them: found or not, and when they are read. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { KeyNames } from "../../src/gateway/key-names.ts";

const hash = fc
  .uint8Array({ minLength: 32, maxLength: 32 })
  .map((b) => Buffer.from(b).toString("hex"));

describe("the names of keys", () => {
  it("know every key that was there, and of others hardly any", () => {
    fc.assert(
      fc.property(fc.array(hash, { maxLength: 50 }), hash, (hashes, other) => {
        const names = new KeyNames();
        names.take(hashes.map((one) => one.slice(0, 8)).join(""), 0);
        expect(hashes.every((one) => names.has(one))).toBe(true);
        expect(names.has(other)).toBe(hashes.some((one) => one.startsWith(other.slice(0, 8))));
      }),
    );
  });

  it("are read when somebody guesses, by one at a time, and again after a minute", () => {
    const names = new KeyNames();
    const isDueAt = (nowMs: number): boolean => {
      names.want();
      return names.isDue(nowMs);
    };
    expect(names.isDue(0)).toBe(false);
    expect(isDueAt(0)).toBe(true);
    expect(isDueAt(4_999)).toBe(false);
    // That read never came back.
    expect(isDueAt(5_000)).toBe(true);
    names.take("", 6_000);
    expect(isDueAt(65_999)).toBe(false);
    expect(names.isDue(66_000)).toBe(false);
    expect(isDueAt(66_000)).toBe(true);
  });
});
