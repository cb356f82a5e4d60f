/** The two upgrade routes: what reaches an object and what does not. */
import { env } from "cloudflare:test";
import { expect, it } from "vitest";
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
