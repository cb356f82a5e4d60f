/** How deep a JSON text nests and how many names its objects have, whatever else is in it. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { isOverbuilt } from "../../src/api/json-bounds.ts";

function depthOf(value: unknown): number {
  return typeof value === "object" && value !== null
    ? 1 + Math.max(0, ...Object.values(value).map(depthOf))
    : 0;
}

function mostNamesIn(value: unknown): number {
  if (typeof value !== "object" || value === null) return 0;
  const own = Array.isArray(value) ? 0 : Object.keys(value).length;
  return Math.max(own, ...Object.values(value).map(mostNamesIn));
}

function named(count: number): Record<string, unknown> {
  return Object.fromEntries(Array.from({ length: count }, (_, at) => [`a:${at}`, { b: ":" }]));
}

describe("a text", () => {
  it("may nest 32 deep and no deeper", () => {
    expect(isOverbuilt("[".repeat(32) + "]".repeat(32))).toBe(false);
    expect(isOverbuilt("[".repeat(33) + "]".repeat(33))).toBe(true);
    expect(isOverbuilt('{"a":'.repeat(33))).toBe(true);
    expect(isOverbuilt("[[],".repeat(10) + "1" + "]".repeat(10))).toBe(false);
  });

  it("may have 200 names in one object and no more, in as many objects as it likes", () => {
    expect(isOverbuilt(JSON.stringify([named(200), named(200), { inner: named(200) }]))).toBe(
      false,
    );
    expect(isOverbuilt(JSON.stringify(named(201)))).toBe(true);
    expect(isOverbuilt(JSON.stringify([[{ inner: [{}, named(201)] }]]))).toBe(true);
  });

  it("is not judged by what stands in its strings", () => {
    expect(isOverbuilt(JSON.stringify({ a: "[".repeat(100), '"[{\\': '\\"[[' }))).toBe(false);
    expect(isOverbuilt(JSON.stringify({ a: ":".repeat(1_000) }))).toBe(false);
    expect(isOverbuilt(`"\\\\"${"[".repeat(40)}`)).toBe(true);
  });

  it("that closes more than it opened is left to whoever parses it", () => {
    expect(isOverbuilt(`${"]".repeat(50)}${":".repeat(500)}`)).toBe(false);
  });

  it("is let through exactly when its value nests no deeper and has no more names", () => {
    const wrapped = fc
      .tuple(
        fc.oneof(fc.jsonValue(), fc.integer({ min: 190, max: 210 }).map(named)),
        fc.array(fc.boolean(), { maxLength: 40 }),
      )
      .map(([value, layers]) =>
        layers.reduce<unknown>((inner, isList) => (isList ? [inner] : { a: inner }), value),
      );
    fc.assert(
      fc.property(wrapped, (value) => {
        expect(isOverbuilt(JSON.stringify(value))).toBe(
          depthOf(value) > 32 || mostNamesIn(value) > 200,
        );
      }),
    );
  });
});
