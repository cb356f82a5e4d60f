/** Texts at devices and at endpoints: each secret opens, the first seals, and nothing opens in another place. */
import { describe, expect, it } from "vitest";
import { readConfig } from "../../src/config.ts";
import { TextSeal as DeviceSeal } from "../../src/device/text-seal.ts";
import { systemRandomBytes } from "../../src/domain/id.ts";
import { TextSeal as EndpointSeal } from "../../src/endpoint/text-seal.ts";

const OLD = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const NEW = "HwECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHgA=";
const TEXT = "Selamat pagi ☕";

describe.each([
  ["a device", DeviceSeal],
  ["an endpoint", EndpointSeal],
])("the texts of %s", (_, Seal) => {
  const sealWith = (...secrets: string[]) => new Seal(secrets, "one", systemRandomBytes);

  it("open under every secret there is, and are sealed with the first", async () => {
    const before = await sealWith(OLD).seal("outbox 1", TEXT);
    const both = sealWith(NEW, OLD);
    expect(await both.openOrNull("outbox 1", before)).toBe(TEXT);
    const after = await both.seal("outbox 1", TEXT);
    expect(await sealWith(NEW).openOrNull("outbox 1", after)).toBe(TEXT);
    expect(await sealWith(OLD).openOrNull("outbox 1", after)).toBe(null);
    expect(await both.openOrNull("outbox 2", after)).toBe(null);
    expect(await new Seal([NEW], "other", systemRandomBytes).openOrNull("outbox 1", after)).toBe(
      null,
    );
  });
});

describe("BODY_KEY", () => {
  const env = (key: string) =>
    ({
      BODY_KEY: key,
      FINGERPRINT_KEY: OLD,
      OPERATOR_TOKEN_HASH: "0".repeat(64),
      SEAL_PROOFS: "{}",
    }) as unknown as Cloudflare.Env;

  it("is one key or several, and nothing else", () => {
    expect(readConfig(env(OLD)).BODY_KEY).toEqual([OLD]);
    expect(readConfig(env(`${NEW}, ${OLD}`)).BODY_KEY).toEqual([NEW, OLD]);
    for (const wrong of ["", "short", `${NEW},`, `${NEW},short`, Array(6).fill(OLD).join(",")]) {
      expect(() => readConfig(env(wrong))).toThrow("BODY_KEY");
    }
  });

  it("has a webhook secret for alerts beside their address, or neither", () => {
    const half = { ...env(OLD), ALERT_WEBHOOK_URL: "https://alerts.firm.co.id" };
    expect(() => readConfig(half)).toThrow("ALERT_WEBHOOK_SECRET");
    expect(readConfig({ ...env(OLD), ALERT_WEBHOOK_URL: "" }).ALERT_WEBHOOK_URL).toBe(undefined);
  });
});
