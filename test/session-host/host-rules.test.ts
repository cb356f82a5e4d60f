/**
 * The host's pure rules: leases, backoff, sealing, settings.
 */
import { randomBytes } from "node:crypto";
import { expect, test } from "vitest";
import { LEASE_MS } from "../../src/bridge/wire.ts";
import { backoffMs } from "../../session-host/backoff.ts";
import { BoundedMap } from "../../src/domain/bounded-map.ts";
import { parseConfig } from "../../session-host/config.ts";
import { Lease } from "../../session-host/lease.ts";
import type { Moment } from "../../session-host/lease.ts";
import { ReconnectPlan, reconnectDefaults } from "../../session-host/reconnect.ts";
import { DeviceSealer, parseSealKeys } from "../../session-host/sealing.ts";

function at(ms: number, wallShiftMs = 0): Moment {
  return { wallMs: 1_000_000 + ms + wallShiftMs, monotonicMs: ms };
}

test("a lease runs from the sending of the newest answered ping, not from its pong", () => {
  const lease = new Lease();
  expect(lease.holds(at(0))).toBe(false);
  lease.pinged(at(0));
  lease.pinged(at(1_000));
  lease.ponged();
  expect(lease.holds(at(LEASE_MS))).toBe(true);
  expect(lease.holds(at(LEASE_MS + 1))).toBe(false);
  lease.ponged();
  expect(lease.holds(at(LEASE_MS + 1_000))).toBe(true);
  expect(lease.holds(at(LEASE_MS + 1_001))).toBe(false);
});

test("a pong that nobody asked for renews nothing", () => {
  const lease = new Lease();
  lease.ponged();
  expect(lease.holds(at(0))).toBe(false);
});

test("a suspended machine finds its lease over by the wall clock, and a wall clock set back ends it too", () => {
  const lease = new Lease();
  lease.pinged(at(0));
  lease.ponged();
  expect(lease.holds(at(100, LEASE_MS))).toBe(false);
  expect(lease.holds(at(100, -200))).toBe(false);
  expect(lease.holds(at(100))).toBe(true);
});

test("backoff doubles under its cap with full jitter and a floor", () => {
  const options = { firstMs: 1_000, capMs: 300_000, floorMs: 100 };
  expect(backoffMs(0, options, 0.5)).toBe(500);
  expect(backoffMs(3, options, 0.5)).toBe(4_000);
  expect(backoffMs(40, options, 0.999)).toBe(299_700);
  expect(backoffMs(5, options, 0)).toBe(100);
});

test("the luckiest draws make ten attempts in 75 s and no more", () => {
  const plan = new ReconnectPlan(reconnectDefaults, [], 0);
  let nowMs = 0;
  const starts: number[] = [];
  while (nowMs < 200_000) {
    starts.push(nowMs);
    plan.started(nowMs);
    nowMs += plan.afterClose(nowMs, 0);
  }
  for (const start of starts) {
    expect(
      starts.filter((other) => other >= start && other < start + 75_000).length,
    ).toBeLessThanOrEqual(10);
  }
});

test("what other hosts tried counts: with ten attempts told, the next waits for the window", () => {
  const agoMs = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10].map((seconds) => seconds * 1_000);
  const full = new ReconnectPlan(reconnectDefaults, agoMs, 500_000);
  expect(full.windowWaitMs(500_000)).toBe(65_000);
  expect(full.windowWaitMs(565_000)).toBe(0);
  const nearly = new ReconnectPlan(reconnectDefaults, agoMs.slice(1), 500_000);
  expect(nearly.windowWaitMs(500_000)).toBe(0);
  nearly.started(500_000);
  expect(nearly.windowWaitMs(500_000)).toBe(65_000);
});

test("a paired phone is never given up: after a thousand failures there is a next attempt, within five minutes", () => {
  const plan = new ReconnectPlan(reconnectDefaults, [], 0);
  let nowMs = 0;
  for (let attempt = 0; attempt < 1_000; attempt += 1) {
    plan.started(nowMs);
    const waitMs = plan.afterClose(nowMs, (attempt % 100) / 100);
    expect(waitMs).toBeGreaterThanOrEqual(100);
    expect(waitMs).toBeLessThanOrEqual(300_000);
    nowMs += waitMs;
  }
});

test("a stable connection makes the past forgotten, a short one does not", () => {
  const plan = new ReconnectPlan(reconnectDefaults, [], 0);
  for (let attempt = 0; attempt < 5; attempt += 1) plan.afterClose(attempt, 0.5);
  plan.opened(1_000);
  expect(plan.afterClose(2_000, 0.5)).toBe(16_000);
  plan.opened(100_000);
  expect(plan.afterClose(160_000, 0.5)).toBe(500);
});

test("a full map forgets what was used longest ago", () => {
  const map = new BoundedMap<string, number>(2);
  map.set("a", 1);
  map.set("b", 2);
  map.get("a");
  map.set("c", 3);
  expect([map.has("a"), map.has("b"), map.has("c")]).toEqual([true, false, true]);
});

const masters = [{ id: "k1", key: randomBytes(32) }];
const device = "a".repeat(32);

test("a sealed value opens only in its own place", () => {
  const sealer = new DeviceSealer(masters, device, 1);
  const sealed = sealer.seal("session", "x.0", "isi");
  expect(sealer.unseal("session", "x.0", sealed)).toEqual({ ok: true, value: "isi" });
  expect(sealer.seal("session", "x.0", "isi")).not.toBe(sealed);
  const broken = { ok: false, error: { reason: "broken" } };
  expect(sealer.unseal("session", "y.0", sealed)).toEqual(broken);
  expect(sealer.unseal("pre-key", "x.0", sealed)).toEqual(broken);
  expect(new DeviceSealer(masters, device, 2).unseal("session", "x.0", sealed)).toEqual(broken);
  expect(new DeviceSealer(masters, "b".repeat(32), 1).unseal("session", "x.0", sealed)).toEqual(
    broken,
  );
  expect(sealer.unseal("session", "x.0", `${sealed.slice(0, -4)}AAA=`)).toEqual(broken);
  expect(sealer.unseal("session", "x.0", "AAAA")).toEqual({
    ok: false,
    error: { reason: "malformed" },
  });
});

test("after a rotation the new key seals and the old one still opens", () => {
  const old = new DeviceSealer(masters, device, 1).seal("creds", "creds", "isi");
  const rotated = new DeviceSealer([{ id: "k2", key: randomBytes(32) }, ...masters], device, 1);
  expect(rotated.unseal("creds", "creds", old)).toEqual({ ok: true, value: "isi" });
  const fresh = rotated.seal("creds", "creds", "isi");
  expect(new DeviceSealer(masters, device, 1).unseal("creds", "creds", fresh)).toEqual({
    ok: false,
    error: { reason: "key_unknown" },
  });
});

test("seal keys need an id, 32 bytes and no double", () => {
  const key = randomBytes(32).toString("base64");
  expect(parseSealKeys(`a:${key},b:${key}`).ok).toBe(true);
  for (const bad of ["", key, `a:${key.slice(4)}`, `a:${key},a:${key}`, `a b:${key}`]) {
    expect(parseSealKeys(bad).ok).toBe(false);
  }
});

test("unencrypted addresses are for this machine only", () => {
  const base = {
    HOST_TOKEN: "a-long-enough-token",
    SEAL_KEY: `k1:${randomBytes(32).toString("base64")}`,
  };
  const parses = (env: Record<string, string>): boolean => parseConfig({ ...base, ...env }).ok;
  expect(parses({ GATEWAY_URL: "https://kabar.example" })).toBe(true);
  expect(parses({ GATEWAY_URL: "http://127.0.0.1:8787" })).toBe(true);
  expect(parses({ GATEWAY_URL: "http://kabar.example" })).toBe(false);
  expect(
    parses({ GATEWAY_URL: "https://kabar.example", WHATSAPP_URL: "ws://localhost:1/ws" }),
  ).toBe(true);
  expect(parses({ GATEWAY_URL: "https://kabar.example", WHATSAPP_URL: "ws://10.0.0.1/ws" })).toBe(
    false,
  );
  expect(parses({ GATEWAY_URL: "https://kabar.example", WHATSAPP_VERSION: "2.3000" })).toBe(false);
});
