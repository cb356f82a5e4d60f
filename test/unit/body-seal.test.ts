/** Sealed texts open for their own message and key only; fingerprints need the secret. */
import { describe, expect, it } from "vitest";
import { systemRandomBytes } from "../../src/domain/id.ts";
import { BodySeal } from "../../src/gateway/body-seal.ts";
import { Fingerprint } from "../../src/gateway/fingerprint.ts";

const KEY = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const OTHER_KEY = "HwECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHgA=";
const MESSAGE = { id: 5_979_000_000_001, nonce: "0123456789abcdef0123456789abcdef" };
const TEXT = "Kode masuk Anda 492810 😀";

describe("a sealed text", () => {
  it("opens for its own message and key only", async () => {
    const seal = new BodySeal([KEY], systemRandomBytes);
    const sealed = await seal.seal(MESSAGE, TEXT);
    expect(await seal.open(MESSAGE, sealed)).toBe(TEXT);
    await expect(seal.open({ ...MESSAGE, id: MESSAGE.id + 1 }, sealed)).rejects.toThrow(
      /operation/i,
    );
    await expect(seal.open({ ...MESSAGE, nonce: "00" }, sealed)).rejects.toThrow(/operation/i);
    await expect(
      new BodySeal([OTHER_KEY], systemRandomBytes).open(MESSAGE, sealed),
    ).rejects.toThrow(/operation/i);
  });

  it("opens under every secret there is, and is sealed with the first", async () => {
    const before = await new BodySeal([KEY], systemRandomBytes).seal(MESSAGE, TEXT);
    const both = new BodySeal([OTHER_KEY, KEY], systemRandomBytes);
    expect(await both.open(MESSAGE, before)).toBe(TEXT);
    const after = await both.seal(MESSAGE, TEXT);
    expect(await new BodySeal([OTHER_KEY], systemRandomBytes).open(MESSAGE, after)).toBe(TEXT);
    await expect(new BodySeal([KEY], systemRandomBytes).open(MESSAGE, after)).rejects.toThrow(
      /operation/i,
    );
  });

  it("differs each time", async () => {
    const seal = new BodySeal([KEY], systemRandomBytes);
    expect(await seal.seal(MESSAGE, TEXT)).not.toBe(await seal.seal(MESSAGE, TEXT));
  });
});

describe("a fingerprint", () => {
  it("needs the secret, and tells device, number and text apart", async () => {
    const fingerprint = new Fingerprint(KEY);
    const first = await fingerprint.message("ABC234", "6281234567890", TEXT);
    expect(first).toMatch(/^[0-9a-f]{16}$/);
    expect(await fingerprint.message("ABC234", "6281234567890", TEXT)).toBe(first);
    expect(await fingerprint.message("ABC235", "6281234567890", TEXT)).not.toBe(first);
    expect(await fingerprint.message("ABC234", "6281234567891", TEXT)).not.toBe(first);
    expect(await new Fingerprint(OTHER_KEY).message("ABC234", "6281234567890", TEXT)).not.toBe(
      first,
    );
    expect(await fingerprint.text("Halo  SEMUA teman")).toBe(
      await fingerprint.text("halo semua teman"),
    );
  });
});
