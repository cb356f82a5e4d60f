/**
 * The versions of the bridge: what was released stays readable, what is sent to an older side is readable there, and
 * nobody changes a frame without noticing that the version's own files say otherwise.
 */
import { describe, expect, it } from "vitest";
import { z } from "zod";
import { fleetFrame, hostControlFrame } from "../../src/bridge/control-frames.ts";
import { deviceFrame, fact, hostFrame } from "../../src/bridge/device-frames.ts";
import {
  commonVersion,
  PROTOCOL_VERSION,
  PROTOCOL_VERSIONS_ACCEPTED,
  PROTOCOLS_OFFERED,
} from "../../src/bridge/versions.ts";
import { readerOf, recordedFrames, type Recorded } from "../support/bridge-golden.ts";

const TODAY = {
  "host-control": hostControlFrame,
  fleet: fleetFrame,
  host: hostFrame,
  device: deviceFrame,
};

function readsToday({ from, frame }: Recorded): boolean {
  if (!TODAY[from].safeParse(frame).success) return false;
  const facts = "facts" in frame ? (frame["facts"] as unknown[]) : [];
  return facts.every((one) => fact.safeParse(one).success);
}

describe("the versions", () => {
  it("are the current one and the one before, newest first", () => {
    expect(PROTOCOL_VERSIONS_ACCEPTED).toEqual([PROTOCOL_VERSION, PROTOCOL_VERSION - 1]);
  });

  it("are agreed on by what the edge names, and an edge that names none speaks the first", () => {
    expect(commonVersion(PROTOCOLS_OFFERED)).toBe(2);
    expect(commonVersion("1")).toBe(1);
    expect(commonVersion(undefined)).toBe(1);
    expect(commonVersion("3, 2")).toBe(2);
    expect(commonVersion("4,3")).toBeNull();
    expect(commonVersion("")).toBeNull();
  });
});

describe("what was released", () => {
  it("can still be read, both ways, as it was recorded", () => {
    for (let version = 1; version < PROTOCOL_VERSION; version += 1) {
      const recorded = recordedFrames(version);
      expect(recorded.length).toBeGreaterThan(20);
      expect(recorded.filter((one) => !readsToday(one))).toEqual([]);
      // The files of a version agree with each other, or they prove nothing.
      const complaint = readerOf(version);
      expect(recorded.map(({ from, frame }) => complaint(from, frame)).filter(Boolean)).toEqual([]);
    }
  });

  it("would not have read what a later version added", () => {
    const complaint = readerOf(1);
    const orders = { t: "logins", perSecond: 1, atOnce: 1, stopped: false };
    expect(fleetFrame.safeParse(orders).success).toBe(true);
    expect(complaint("fleet", orders)).toContain("version 1 cannot read");
    const facts = [{ kind: "unrestricted" }];
    expect(complaint("host", { t: "facts", first: 1, facts })).toContain("version 1 cannot read");
  });
});

describe("the current version", () => {
  it("is as its own file says; a change of a released one is another version", async () => {
    const schemas = Object.fromEntries(
      Object.entries({ hostControlFrame, fleetFrame, hostFrame, fact, deviceFrame }).map(
        ([name, shape]) => [name, z.toJSONSchema(shape, { io: "input" })],
      ),
    );
    const text = `${JSON.stringify(schemas, null, 1)}\n`;
    await expect(text).toMatchFileSnapshot(`../golden/bridge/${PROTOCOL_VERSION}.schema.json`);
  });
});
