/** Wall times as the old API writes them. */
import { describe, expect, it } from "vitest";
import { parseWallTime } from "../../src/domain/send-time.ts";

describe("a wall time", () => {
  it.each([
    ["2027-01-31 23:59:59", "2027-01-31T23:59:59Z"],
    ["2027-01-31 23-59-59", "2027-01-31T23:59:59Z"],
    ["2027-01-31T23:59", "2027-01-31T23:59:00Z"],
    [" 2028-02-29 00:00:00 ", "2028-02-29T00:00:00Z"],
  ])("written %j is %s on a wall in UTC", (written, wall) => {
    expect(parseWallTime(written)).toEqual({
      ok: true,
      value: { kind: "wall", wallMs: Date.parse(wall) },
    });
  });

  it("left empty is now", () => {
    expect(parseWallTime("  ")).toEqual({ ok: true, value: { kind: "now" } });
  });

  it.each([
    ["2027-02-29 10:00:00"],
    ["2027-13-01 10:00:00"],
    ["0000-00-00 00:00:00"],
    ["2027-01-01 24:00:00"],
    ["2027-01-01 10:60:00"],
    ["2027-01-01"],
    ["2027-01-01 10:00:00Z"],
    ["01/02/2027 10:00"],
    ["besok"],
    ["1767225600"],
  ])("written %j is impossible", (written) => {
    expect(parseWallTime(written)).toEqual({ ok: false, error: "impossible" });
  });
});
