/** How deep a JSON text nests, whatever else is in it. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { nestsTooDeeply } from "../../src/api/json-depth.ts";

const depthOf = (value: unknown): number =>
  typeof value === "object" && value !== null
    ? 1 + Math.max(0, ...Object.values(value).map(depthOf))
    : 0;

describe("a text", () => {
  it("may nest 32 deep and no deeper", () => {
    expect(nestsTooDeeply("[".repeat(32) + "]".repeat(32))).toBe(false);
    expect(nestsTooDeeply("[".repeat(33) + "]".repeat(33))).toBe(true);
    expect(nestsTooDeeply('{"a":'.repeat(33))).toBe(true);
    expect(nestsTooDeeply("[[],".repeat(10) + "1" + "]".repeat(10))).toBe(false);
  });

  it("does not nest by what stands in its strings", () => {
    expect(nestsTooDeeply(JSON.stringify({ a: "[".repeat(100), '"[{\\': '\\"[[' }))).toBe(false);
    expect(nestsTooDeeply(`"\\\\"${"[".repeat(40)}`)).toBe(true);
  });

  it("is let through exactly when its value nests no deeper", () => {
    const wrapped = fc
      .tuple(fc.jsonValue(), fc.array(fc.boolean(), { maxLength: 40 }))
      .map(([value, layers]) =>
        layers.reduce<unknown>((inner, isList) => (isList ? [inner] : { a: inner }), value),
      );
    fc.assert(
      fc.property(wrapped, (value) => {
        expect(nestsTooDeeply(JSON.stringify(value))).toBe(depthOf(value) > 32);
      }),
    );
  });
});
