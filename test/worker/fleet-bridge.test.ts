/** The two upgrade routes: what reaches an object and what does not. */
import { env } from "cloudflare:test";
import { expect, it, vi } from "vitest";
import { bridge } from "../../src/api/bridge.ts";
import { HEADER_BOOT, HEADER_HOST_TOKEN } from "../../src/bridge/wire.ts";
import { setSaboteur } from "../../src/domain/crossing.ts";
import { fleetClient } from "../../src/fleet/client.ts";
import { tokenHashOf } from "../../src/fleet/credentials.ts";

const DEVICE_ID = "0123456789abcdef0123456789abcdef";

function get(path: string, headers: Record<string, string> = {}): Promise<Response> {
  return Promise.resolve(bridge.request(`https://gateway.test${path}`, { headers }, env));
}

it("leads a host to the fleet", async () => {
  const token = "the-token-of-the-first-host";
  const tokenHash = await tokenHashOf(token);
  const fleet = fleetClient(env.FLEET);
  await fleet.approveHost({ hostId: "h1", name: "first", tokenHash, devicesMax: 5 });
  const upgrade = { upgrade: "websocket", [HEADER_BOOT]: "boot-0001" };
  const refused = await get("/bridge/control", { ...upgrade, [HEADER_HOST_TOKEN]: "Bearer no" });
  expect(refused.status).toBe(401);
  const opened = await get("/bridge/control", {
    ...upgrade,
    [HEADER_HOST_TOKEN]: `Bearer ${token}`,
  });
  expect(opened.status).toBe(101);
  opened.webSocket?.accept();
  opened.webSocket?.close(1000, "done");
});

it("asks for an upgrade with 426 before it wakes an object", async () => {
  const crossed: string[] = [];
  setSaboteur((crossing, call) => {
    crossed.push(crossing.name);
    return call();
  });
  try {
    expect((await get("/bridge/control")).status).toBe(426);
    expect((await get(`/bridge/devices/${DEVICE_ID}`)).status).toBe(426);
    expect((await get("/bridge/devices/nonsense", { upgrade: "websocket" })).status).toBe(404);
    expect(crossed).toEqual([]);
  } finally {
    setSaboteur(null);
  }
});

it("knows neither malformed device ids nor other paths", async () => {
  const upgrade = { upgrade: "websocket" };
  const ids = ["nonsense", DEVICE_ID.toUpperCase(), `${DEVICE_ID}0`, "%2e%2e"];
  for (const id of ids) expect((await get(`/bridge/devices/${id}`, upgrade)).status).toBe(404);
  expect((await get("/bridge", upgrade)).status).toBe(404);
  expect((await get("/bridge/other", upgrade)).status).toBe(404);
});

it("leads a device socket to the device, which refuses it without a ticket", async () => {
  const answer = await get(`/bridge/devices/${DEVICE_ID}`, { upgrade: "websocket" });
  expect(answer.webSocket).toBeNull();
  expect(answer.status).toBeGreaterThanOrEqual(400);
  expect(answer.status).toBeLessThan(500);
});

it("holds off an address that knocks in vain, and no other, and wakes no object for it", async () => {
  vi.useFakeTimers({ toFake: ["Date"], now: Date.now() });
  const crossed: string[] = [];
  setSaboteur((crossing, call) => {
    crossed.push(crossing.name);
    return call();
  });
  const knock = (address: string, path = "/bridge/control") =>
    get(path, {
      upgrade: "websocket",
      [HEADER_BOOT]: "boot-0001",
      [HEADER_HOST_TOKEN]: "Bearer guessed",
      "cf-connecting-ip": address,
    });
  try {
    for (let at = 0; at < 6; at += 1) {
      const knocks = Array.from({ length: 100 }, (_, n) =>
        n % 2 === 0
          ? knock("2001:db8:9::1")
          : knock("2001:db8:9::2", `/bridge/devices/${DEVICE_ID}`),
      );
      const statuses = (await Promise.all(knocks)).map(({ status }) => status);
      expect(new Set(statuses)).toEqual(new Set([401, 403]));
    }
    expect(crossed).toHaveLength(600);
    const held = await knock("2001:db8:9::3");
    expect([held.status, held.headers.get("retry-after")]).toEqual([429, "1"]);
    expect(crossed).toHaveLength(600);
    expect((await knock("2001:db8:a::1")).status).toBe(401);
    vi.setSystemTime(Date.now() + 1_000);
    expect((await knock("2001:db8:9::3")).status).toBe(401);
  } finally {
    setSaboteur(null);
    vi.useRealTimers();
  }
}, 20_000);
