/**
 * Phones that are logged out: one is its owner's business; many at once are told to the operator, and no keys of former
 * pairings are dropped until he has looked.
 */
import { env } from "cloudflare:test";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import {
  newDevice,
  pairedHost,
  passTime,
  rowsOf,
  unwrap,
  type TestDevice,
} from "./device-support.ts";
import { fresh, newFleet } from "./fleet-support.ts";
import { operator } from "./support/harness.ts";

const DAY_MS = 24 * 3_600_000;
const MINUTE_MS = 60_000;
const ALERT = "many phones were logged out at once";

interface LogOutsAnswer {
  held_since: string | null;
  log_outs: { device_id: string; host_id: string | null; at: string }[];
}

let alerts: string[] = [];

beforeEach(() => {
  alerts = [];
  vi.spyOn(console, "error").mockImplementation((line: unknown) => {
    alerts.push(String(line));
  });
});

afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

const keysOf = async (device: TestDevice) =>
  rowsOf(device, "SELECT generation FROM session_rows GROUP BY generation");

async function loggedOut(): Promise<TestDevice> {
  const device = await newDevice();
  const host = await pairedHost(device);
  await host.closeSession("logged_out");
  await vi.waitFor(async () => {
    const { log_outs } = await operator<LogOutsAnswer>("GET", "/log-outs");
    expect(log_outs.map((one) => one.device_id)).toContain(device.identity.deviceId);
  }, 10_000);
  return device;
}

it("many at once are an alert, and keep the keys of former pairings until the operator has looked", async () => {
  const devices = [await loggedOut()];
  const [first] = devices;
  if (first === undefined) throw new Error("no device");
  expect(await operator("GET", "/log-outs")).toMatchObject({ held_since: null });
  for (let count = 0; count < 3; count += 1) devices.push(await loggedOut());
  expect(alerts).toEqual([]);
  devices.push(await loggedOut());
  expect(alerts.filter((line) => line.includes(ALERT))).toHaveLength(1);
  const answer = await operator<LogOutsAnswer>("GET", "/log-outs");
  expect(answer.held_since).not.toBeNull();
  expect(answer.log_outs).toHaveLength(5);
  await passTime(first, 7.3 * DAY_MS);
  expect(await keysOf(first)).toEqual([{ generation: 1 }]);
  expect(await unwrap(first.stub.view(first.identity))).toMatchObject({ status: "logged_out" });
  await operator("POST", "/log-outs/release");
  expect(await operator("GET", "/log-outs")).toMatchObject({ held_since: null });
  await passTime(first, 0.3 * DAY_MS);
  expect(await keysOf(first)).toEqual([]);
});

it("keys are kept while the Fleet does not answer, and dropped when it does", async () => {
  const device = await loggedOut();
  const fleet = env.FLEET.get(env.FLEET.idFromName("fleet"));
  await fleet.releaseLogOuts();
  const { setSaboteur } = await import("../../src/domain/crossing.ts");
  vi.spyOn(console, "warn").mockReturnValue();
  setSaboteur(async (crossing, call) => {
    if (crossing.name === "fleet.mayDropKeys") throw new Error("connection lost");
    return call();
  });
  await passTime(device, 7.3 * DAY_MS);
  expect(await keysOf(device)).toEqual([{ generation: 1 }]);
  setSaboteur(null);
  await passTime(device, 0.3 * DAY_MS);
  expect(await keysOf(device)).toEqual([]);
});

it("as many over a longer time are people's own doing, and one phone's again and again is one", async () => {
  vi.useFakeTimers({ toFake: ["Date"] });
  const fleet = newFleet();
  for (let count = 0; count < 12; count += 1) {
    vi.setSystemTime(Date.now() + 4 * MINUTE_MS);
    await fleet.release(fresh("device"), "logged_out");
  }
  const again = fresh("device");
  for (let count = 0; count < 12; count += 1) await fleet.release(again, "logged_out");
  expect(await fleet.mayDropKeys()).toBe(true);
  await fleet.release(fresh("device"), "logged_out");
  expect(await fleet.mayDropKeys()).toBe(false);
  await fleet.release(fresh("device"));
  const { logOuts } = await fleet.logOuts();
  expect(logOuts).toHaveLength(14);
});
