/** Numbers that a double would change, kept as they were written. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { isInexact, withWrittenNumbers } from "../../src/api/legacy/written-numbers.ts";

const read = (json: string): unknown => JSON.parse(withWrittenNumbers(json));

describe("a number of a JSON text", () => {
  it("is kept as it was written where a double is another, and stays a number where it is not", () => {
    const json = `{"a":12345678901234567890,"b":[12.50,1e400,-0.1E-7],"c":6.281234567890E+12,"d":-81,"e":1E5}`;
    expect(read(json)).toEqual({
      a: "12345678901234567890",
      b: ["12.50", "1e400", "-0.1E-7"],
      c: 6_281_234_567_890,
      d: -81,
      e: 100_000,
    });
  });

  it("is none inside a string or a name, however that is escaped", () => {
    const value = { "1.5": '0.5"1.5\\', b: '\\"2.5', c: ["\\\\", '"'], d: "\u2028 3.5" };
    expect(read(JSON.stringify(value))).toEqual(value);
  });

  it("leaves everything else what it is: 2,000 texts", () => {
    const written = (value: unknown): unknown => {
      if (isInexact(value)) return JSON.stringify(value);
      if (Array.isArray(value)) return value.map(written);
      if (typeof value !== "object" || value === null) return value;
      return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, written(one)]));
    };
    const few = fc.jsonValue({ maxDepth: 4 }).filter((value) => JSON.stringify(value).length < 900);
    fc.assert(
      fc.property(few, (value) => {
        const json = JSON.stringify(value);
        expect(read(json)).toEqual(written(JSON.parse(json)));
      }),
      { numRuns: 2_000 },
    );
  });

  it("is looked at a bounded number of times", () => {
    const all = read(JSON.stringify(Array.from({ length: 1_000 }, () => 0.5))) as unknown[];
    expect(all.filter((one) => one === "0.5")).toHaveLength(100);
    expect(all.filter((one) => one === 0.5)).toHaveLength(900);
  });
});
