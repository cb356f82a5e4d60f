/** Events of an endpoint whose object is silent for days: none is gone without a trace, whatever was forgotten by then. */
import { runInDurableObject } from "cloudflare:test";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import type { Device } from "../../src/device/device.ts";
import { setSaboteur } from "../../src/domain/crossing.ts";
import { configure, inboundText, typesOf } from "./device-events-support.ts";
import {
  counter,
  enqueue,
  messageTo,
  newDevice,
  pairedHost,
  passTime,
  restart,
  type TestDevice,
} from "./device-support.ts";
import { DAY_MS, deadOf, newEndpoint, Receiver, type TestEndpoint } from "./endpoint-support.ts";

const WAITING_MAX = 100_000;
const QUARTER_MS = 6 * 3_600_000 + 1_000;

let alerts: string[] = [];

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["Date"] });
  alerts = [];
  vi.spyOn(console, "error").mockImplementation((line: unknown) => {
    alerts.push(String(line));
  });
});

afterEach(() => {
  setSaboteur(null);
  vi.restoreAllMocks();
  vi.useRealTimers();
});

/** From here on the endpoint hears `calls` more calls and then none. */
function hearOnly(calls: number): void {
  let left = calls;
  setSaboteur(async (crossing, call) => {
    if (crossing.name === "endpoint.deliver") {
      if (left <= 0) throw new Error("the wire broke");
      left -= 1;
    }
    return call();
  });
}

async function toldDevice(textsKeptMs: number): Promise<[TestDevice, TestEndpoint]> {
  const device = await newDevice();
  const endpoint = await newEndpoint();
  await configure(device, [endpoint], { textsKeptMs });
  return [device, endpoint];
}

it("they wait for it, and those whose text was forgotten meanwhile become dead letters", async () => {
  const receiver = new Receiver();
  const [device, endpoint] = await toldDevice(3 * DAY_MS);
  const host = await pairedHost(device);
  await vi.waitFor(() => expect(typesOf(receiver)).toHaveLength(2));
  hearOnly(0);
  await host.commit({ inbound: [inboundText()] });
  await enqueue(device, messageTo());
  const command = await host.command("send");
  await host.commitFor(command);
  await host.ack(command);
  for (let days = 0; days < 9; days += 3) await passTime(device, 3 * DAY_MS);
  expect(alerts.some((line) => line.includes("events wait for a silent endpoint"))).toBe(true);
  setSaboteur(null);
  await passTime(device, QUARTER_MS);
  await vi.waitFor(() => expect(typesOf(receiver, "message.")).toEqual(["message.sent"]));
  expect(await deadOf(endpoint)).toMatchObject([
    { type: "message.inbound", reason: "forgotten", replayable: false, attempts: 0 },
  ]);
}, 30_000);

it("beyond their bound the oldest are one dead letter that says which", async () => {
  vi.spyOn(globalThis, "fetch").mockResolvedValue(new Response("ok"));
  const [device, endpoint] = await toldDevice(30 * DAY_MS);
  const host = await pairedHost(device);
  hearOnly(0);
  await host.commit({ inbound: [inboundText()] });
  await runInDurableObject(device.stub, async (_device: Device, { storage }) => {
    const { n } = storage.sql.exec<{ n: number }>("SELECT max(n) AS n FROM events").one();
    storage.sql.exec("UPDATE feeds SET acked_n = ?", n);
    storage.sql.exec(
      `WITH RECURSIVE more (n) AS (SELECT ?1 + 1 UNION ALL SELECT n + 1 FROM more WHERE n < ?1 + ?2)
       INSERT INTO events (n, type, at_ms) SELECT n, 'device.connected', ?3 FROM more`,
      n,
      WAITING_MAX + 7,
      Date.now(),
    );
  });
  await restart(device);
  await passTime(device, QUARTER_MS);
  expect(await counter(device, "events_given_up")).toBe(1);
  expect(alerts.some((line) => line.includes("events given up"))).toBe(true);
  // Where it stands, and what it will never hear; once more after a restart.
  hearOnly(2);
  await passTime(device, 301_000);
  const range = { type: "unknown", reason: "forgotten", replayable: false };
  await vi.waitFor(async () => expect(await deadOf(endpoint)).toMatchObject([range]));
  const [letter] = await deadOf(endpoint);
  const [from, to] = (letter?.eventId ?? "").match(/\d+/g)?.slice(-2).map(Number) ?? [];
  expect((to ?? 0) - (from ?? 0) + 1).toBe(7);
}, 30_000);
