/** How fast a phone writes, for any randomness. */
import { describe, expect, it } from "vitest";
import { Pace } from "../../src/device/pace.ts";
import type { RandomBytes } from "../../src/domain/id.ts";

const always =
  (byte: number): RandomBytes =>
  (count) =>
    new Uint8Array(count).fill(byte);

describe("with pacing on", () => {
  it.each([
    [0x00, 2_500],
    [0xff, 7_000],
  ])("hand-overs are 2.5 to 7 s apart (random bytes %i)", (byte, gapMs) => {
    const pace = new Pace(true, always(byte));
    expect(pace.nextMs(1_000)).toBe(1_000);
    pace.handedOver("a", 0, 1_000);
    expect(pace.nextMs(1_000)).toBe(1_000 + gapMs);
    expect(pace.nextMs(20_000)).toBe(20_000);
  });

  it("one recipient is written to every 6 s at most", () => {
    const pace = new Pace(true, always(0));
    pace.handedOver("a", 0, 1_000);
    expect(pace.recipientFreeMs("a")).toBe(7_000);
    expect(pace.recipientFreeMs("b")).toBe(0);
    expect(pace.nextRecipientMs(1_000)).toBe(7_000);
    expect(pace.nextRecipientMs(7_000)).toBeNull();
    expect(pace.waitingRecipients(6_999)).toEqual(["a"]);
    expect(pace.waitingRecipients(7_000)).toEqual([]);
  });

  it("typing takes 0.6 s and 30 ms a character, 20 s at most, and keeps the next waiting", () => {
    const pace = new Pace(true, always(0));
    expect(pace.typingMs("")).toBe(600);
    expect(pace.typingMs("x".repeat(100))).toBe(3_600);
    expect(pace.typingMs("x".repeat(1_000))).toBe(20_000);
    pace.handedOver("a", 20_000, 0);
    expect(pace.nextMs(0)).toBe(20_000);
    expect(pace.recipientFreeMs("a")).toBe(20_000);
  });

  it("after a reconnect gaps begin four times as long and are as ever after a minute", () => {
    const pace = new Pace(true, always(0));
    pace.reconnected(100_000);
    expect(pace.nextMs(100_000)).toBe(100_000);
    const gapAt = (atMs: number): number => {
      pace.handedOver("a", 0, atMs);
      return pace.nextMs(atMs) - atMs;
    };
    expect(gapAt(100_000)).toBe(10_000);
    expect(gapAt(130_000)).toBe(6_250);
    expect(gapAt(159_999)).toBe(2_501);
    expect(gapAt(160_000)).toBe(2_500);
    expect(gapAt(90_000)).toBe(2_500);
  });

  it("a stale queue does not go at once: half of what a minute carries leaves in the first one", () => {
    const sentWithin = (reconnectedMs: number): number => {
      const pace = new Pace(true, always(0x7f));
      pace.reconnected(reconnectedMs);
      let count = 0;
      for (let atMs = 0; atMs < 60_000; atMs = pace.nextMs(atMs)) {
        pace.handedOver(`r${count}`, 0, atMs);
        count += 1;
      }
      return count;
    };
    expect([sentWithin(-60_000), sentWithin(0)]).toEqual([13, 6]);
  });

  it("the lag of a line is what the ramp costs it, and nothing a minute later", () => {
    const pace = new Pace(true, always(0x7f));
    pace.reconnected(0);
    expect(Math.round(pace.rampLagMs(0))).toBe(32_274);
    expect(pace.rampLagMs(30_000)).toBeLessThan(pace.rampLagMs(0));
    expect([pace.rampLagMs(60_000), new Pace(false, always(0)).rampLagMs(0)]).toEqual([0, 0]);
  });

  it("recipients of long ago are forgotten", () => {
    const pace = new Pace(true, always(0));
    for (let index = 0; index < 1_000; index += 1) pace.handedOver(`r${index}`, 0, index * 10_000);
    expect(pace.recipientFreeMs("r0")).toBe(0);
  });
});

describe("with pacing off", () => {
  it("nothing waits and nobody types", () => {
    const pace = new Pace(false, always(0xff));
    pace.handedOver("a", 0, 1_000);
    expect(pace.nextMs(1_000)).toBe(1_000);
    expect(pace.recipientFreeMs("a")).toBe(0);
    expect(pace.typingMs("hello")).toBe(0);
    expect(pace.inHandMax).toBe(32);
  });
});
