/** Addresses and ranges in their one fixed-width form. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  addressHex,
  addressRange,
  addressText,
  rangeText,
} from "../../src/domain/client-address.ts";

function allows(rule: string, address: string): boolean {
  const range = addressRange(rule);
  const hex = addressHex(address);
  return range !== null && hex !== null && range.low <= hex && hex <= range.high;
}

describe("an address", () => {
  it("has one form, however it is written", () => {
    expect(addressHex("10.0.0.1")).toBe("00000000000000000000ffff0a000001");
    expect(addressHex("::ffff:10.0.0.1")).toBe(addressHex("10.0.0.1"));
    expect(addressHex("2001:DB8::1")).toBe("20010db8000000000000000000000001");
    expect(addressHex("2001:db8:0:0:0:0:0:1")).toBe(addressHex("2001:db8::1"));
    expect(addressHex("::")).toBe("0".repeat(32));
  });

  it.each([
    "",
    "10.0.0",
    "10.0.0.256",
    "10.0.0.1:80",
    "fe80::1%eth0",
    ":::",
    "1::2::3",
    "::1.2.3",
    "g::1",
    "1:2:3:4:5:6:7",
    "1:2:3:4:5:6:7:8:9",
    "localhost",
  ])("is not %j", (written) => {
    expect(addressHex(written)).toBeNull();
  });

  it("has 32 digits for every IPv4 and IPv6 address", () => {
    fc.assert(
      fc.property(fc.oneof(fc.ipV4(), fc.ipV6()), (address) => {
        expect(addressHex(address)).toMatch(/^[0-9a-f]{32}$/);
        expect(allows(address, address)).toBe(true);
      }),
    );
  });
});

describe("a range", () => {
  it("holds its first and last address and not their neighbours", () => {
    expect(allows("198.51.100.0/24", "198.51.100.0")).toBe(true);
    expect(allows("198.51.100.0/24", "198.51.100.255")).toBe(true);
    expect(allows("198.51.100.0/24", "198.51.101.0")).toBe(false);
    expect(allows("198.51.100.0/24", "198.51.99.255")).toBe(false);
    expect(allows("198.51.100.77/24", "198.51.100.1")).toBe(true);
    expect(allows("2001:db8::/32", "2001:db8:ffff::1")).toBe(true);
    expect(allows("2001:db8::/32", "2001:db9::")).toBe(false);
    expect(allows("10.0.0.1/32", "10.0.0.2")).toBe(false);
  });

  it("of all of one family leaves the other out", () => {
    expect(allows("0.0.0.0/0", "203.0.113.9")).toBe(true);
    expect(allows("0.0.0.0/0", "2001:db8::1")).toBe(false);
    expect(allows("::/0", "203.0.113.9")).toBe(true);
  });

  it.each(["10.0.0.0/33", "10.0.0.0/", "10.0.0.0/-1", "::/129", "10.0.0.0/8/8", "x/8"])(
    "is not %j",
    (written) => {
      expect(addressRange(written)).toBeNull();
    },
  );
});

describe("the text of a range", () => {
  it.each([
    ["203.0.113.77/28", "203.0.113.64/28"],
    ["192.0.2.10", "192.0.2.10"],
    ["192.0.2.10/32", "192.0.2.10"],
    ["0.0.0.0/0", "0.0.0.0/0"],
    ["::/0", "::/0"],
    ["::ffff:198.51.100.1", "198.51.100.1"],
    ["2001:DB8:0:0::0001/64", "2001:db8::/64"],
    ["2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"],
    ["1:0:0:0:2:0:0:0", "1::2:0:0:0"],
    ["1:0:2:3:4:5:6:7", "1:0:2:3:4:5:6:7"],
    ["::1", "::1"],
    ["1::", "1::"],
  ])("%s is %s", (written, canonical) => {
    const range = addressRange(written);
    expect(range === null ? null : rangeText(range)).toBe(canonical);
  });

  it("reads as the range it was written for, whatever the address and the prefix", () => {
    const hex = fc.stringMatching(/^[0-9a-f]{32}$/);
    const mostlyZeros = fc
      .array(fc.constantFrom("0000", "0000", "0001", "ab00"), { minLength: 8, maxLength: 8 })
      .map((groups) => groups.join(""));
    const v4 = fc.stringMatching(/^[0-9a-f]{8}$/).map((tail) => `00000000000000000000ffff${tail}`);
    fc.assert(
      fc.property(fc.oneof(hex, mostlyZeros, v4), fc.integer({ min: 0, max: 128 }), (low, bits) => {
        const text = addressText(low);
        expect(addressHex(text)).toBe(low);
        const prefix = text.includes(":") ? bits : Math.min(bits, 32);
        const range = addressRange(`${text}/${prefix}`);
        expect(range).not.toBeNull();
        if (range !== null) expect(addressRange(rangeText(range))).toEqual(range);
      }),
    );
  });
});
