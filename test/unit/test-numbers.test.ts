/** The documented numbers: numbers that a client could write, each with one meaning. */
import { describe, expect, it } from "vitest";
import { drawApiKey, modeOfKey, parseApiKey } from "../../src/domain/api-key.ts";
import { addressHex, network64 } from "../../src/domain/client-address.ts";
import { mayRise } from "../../src/domain/message-status.ts";
import { parsePhoneNumber } from "../../src/domain/phone-number.ts";
import {
  TEST_UNSENT_AFTER_MS,
  testPacketFailure,
  testRequestFailure,
  testSteps,
} from "../../src/domain/test-numbers.ts";

const NUMBERS = Array.from(
  { length: 200 },
  (_, index) => `6281200000${String(index).padStart(3, "0")}`,
);

describe("documented numbers", () => {
  it("are numbers that a client may write, with one meaning each", () => {
    for (const to of NUMBERS) {
      const meanings = [
        testPacketFailure(to) !== null,
        testRequestFailure([to]) !== null,
        testSteps(to) !== testSteps("6281234567890"),
      ].filter(Boolean);
      expect(meanings.length).toBeLessThanOrEqual(1);
      if (meanings.length === 1) expect(parsePhoneNumber(to)).toBe(to);
    }
  });

  it("let a status only rise, in order of time", () => {
    for (const to of NUMBERS) {
      let status: Parameters<typeof mayRise>[0] = "pending";
      let atMs = 0;
      for (const step of testSteps(to)) {
        expect(step.status === status || mayRise(status, step.status)).toBe(true);
        expect(step.afterMs).toBeGreaterThan(atMs);
        ({ status, afterMs: atMs } = step);
      }
    }
    expect(Object.keys(TEST_UNSENT_AFTER_MS)).toEqual([
      "6281200000040",
      "6281200000050",
      "6281200000060",
    ]);
  });
});

describe("a key", () => {
  it("shows by its first digits whether it is a test key", () => {
    const zeros = (count: number) => new Uint8Array(count);
    const test = drawApiKey(zeros, "test");
    expect(test).toBe(`7e57${"0".repeat(28)}`);
    expect(modeOfKey(parseApiKey(`kbr_${test}`) ?? "")).toBe("test");
  });

  it("that is live is drawn anew when it would look like a test key", () => {
    let draws = 0;
    const random = (count: number) => {
      draws += 1;
      return new Uint8Array(count)
        .fill(draws === 1 ? 0 : 9)
        .map((byte, at) => (draws === 1 && at < 2 ? ([0x7e, 0x57][at] ?? byte) : byte));
    };
    expect(modeOfKey(drawApiKey(random))).toBe("live");
    expect(draws).toBe(2);
  });
});

describe("the /64 around an address", () => {
  it("is the upper half of an IPv6 address, and nothing for IPv4", () => {
    expect(network64(addressHex("2001:db8:1:2:3:4:5:6") ?? "")).toEqual({
      low: "20010db8000100020000000000000000",
      high: "20010db800010002ffffffffffffffff",
    });
    expect(network64(addressHex("203.0.113.7") ?? "")).toBe(null);
  });
});
