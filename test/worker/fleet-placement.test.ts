/** Which device goes to which host, how often it is tried, and what a host's report corrects. */
import { afterEach, expect, it, vi } from "vitest";
import { setSaboteur } from "../../src/domain/crossing.ts";
import {
  approve,
  type FleetStub,
  HostSocket,
  hostView,
  newDevice,
  newFleet,
  passTime,
  ring,
  type Running,
  unknownDevice,
} from "./fleet-support.ts";

/** Less than the silence after which a host is buried. */
const STEP_MS = 8_000;

afterEach(() => {
  setSaboteur(null);
  vi.useRealTimers();
});

async function acceptedHost(
  fleet: FleetStub,
  limits: { devicesMax?: number; capacity?: number } = {},
): Promise<HostSocket> {
  const approved = await approve(fleet, limits.devicesMax);
  const host = await HostSocket.accepted(fleet, approved, { capacity: limits.capacity ?? 100 });
  await host.framesUntilNow();
  return host;
}

/** Wants a fresh device and takes its assignment from the only host. */
async function placed(fleet: FleetStub, host: HostSocket): Promise<Running & { ticket: string }> {
  const deviceId = await newDevice();
  await fleet.want(deviceId);
  const { placementId, ticket } = await host.next("assign");
  return { deviceId, placementId, ticket };
}

/** Passes time in steps, in each of which every host says that it runs nothing. */
async function passTimeReporting(
  fleet: FleetStub,
  ms: number,
  hosts: readonly HostSocket[],
): Promise<void> {
  for (let passedMs = 0; passedMs < ms; passedMs += STEP_MS) {
    vi.setSystemTime(Date.now() + Math.min(STEP_MS, ms - passedMs));
    await Promise.all(hosts.map((host) => host.framesUntilNow()));
    await ring(fleet);
  }
}

it("assigns a wanted device once, however often it is wanted", async () => {
  const fleet = newFleet();
  const host = await acceptedHost(fleet);
  const device = await placed(fleet, host);
  await fleet.want(device.deviceId);
  await fleet.want(device.deviceId);
  await ring(fleet);
  expect(await host.framesUntilNow([device])).toEqual([]);
  expect(await hostView(fleet, host)).toMatchObject({ devices: 1 });
});

it("keeps a wanted device waiting while there is no host and places it when one is accepted", async () => {
  const fleet = newFleet();
  const deviceId = await newDevice();
  await fleet.want(deviceId);
  await ring(fleet);
  const host = await HostSocket.accepted(fleet, await approve(fleet));
  expect(await host.next("assign")).toMatchObject({ deviceId });
});

it("fills the least loaded host first, up to the lower of both limits", async () => {
  const fleet = newFleet();
  const capped = await acceptedHost(fleet, { devicesMax: 1, capacity: 50 });
  const small = await acceptedHost(fleet, { devicesMax: 50, capacity: 2 });
  for (let count = 0; count < 3; count += 1) {
    await fleet.want(await newDevice());
    await ring(fleet);
  }
  await vi.waitFor(async () => {
    expect(await hostView(fleet, capped)).toMatchObject({ devices: 1 });
    expect(await hostView(fleet, small)).toMatchObject({ devices: 2 });
  });
  const waiting = await newDevice();
  await fleet.want(waiting);
  await ring(fleet);
  expect(await hostView(fleet, capped)).toMatchObject({ devices: 1 });
  expect(await hostView(fleet, small)).toMatchObject({ devices: 2 });
  const { deviceId } = await capped.next("assign");
  await fleet.release(deviceId);
  expect(await capped.next("withdraw")).toMatchObject({ deviceId });
  expect(await capped.next("assign")).toMatchObject({ deviceId: waiting });
});

it("spreads devices by load", async () => {
  const fleet = newFleet();
  const first = await acceptedHost(fleet);
  const second = await acceptedHost(fleet);
  for (let count = 0; count < 6; count += 1) await fleet.want(await newDevice());
  await vi.waitFor(async () => {
    expect(await hostView(fleet, first)).toMatchObject({ devices: 3 });
    expect(await hostView(fleet, second)).toMatchObject({ devices: 3 });
  });
});

it("draws another ticket for the same placement when the first was not used in time", async () => {
  const fleet = newFleet();
  const host = await acceptedHost(fleet);
  const { deviceId, placementId, ticket } = await placed(fleet, host);
  expect(await host.framesUntilNow()).toEqual([]);
  await passTime(fleet, 19_000);
  expect(await host.framesUntilNow()).toEqual([]);
  await passTime(fleet, 2_000);
  const again = await host.next("assign");
  expect(again).toMatchObject({ deviceId, placementId });
  expect(again.ticket).not.toBe(ticket);
});

it("gives a device that a host cannot run to another host", async () => {
  const fleet = newFleet();
  const useless = await acceptedHost(fleet);
  const { deviceId, placementId } = await placed(fleet, useless);
  const other = await acceptedHost(fleet, { capacity: 1 });
  for (let tries = 1; tries < 3; tries += 1) {
    await passTimeReporting(fleet, 21_000, [useless, other]);
    expect(await useless.next("assign")).toMatchObject({ deviceId, placementId });
  }
  await passTimeReporting(fleet, 21_000, [useless, other]);
  const moved = await other.next("assign");
  expect(moved.deviceId).toBe(deviceId);
  expect(moved.placementId).toBeGreaterThan(placementId);
});

it("drops a device whose object refuses, and places its neighbours", async () => {
  const fleet = newFleet();
  const host = await acceptedHost(fleet);
  const blank = unknownDevice();
  await fleet.want(blank);
  await ring(fleet);
  const device = await placed(fleet, host);
  expect(await host.framesUntilNow([device])).toEqual([]);
  expect(await hostView(fleet, host)).toMatchObject({ devices: 1 });
});

it("tries again for the same placement when the device cannot be reached", async () => {
  const fleet = newFleet();
  const host = await acceptedHost(fleet);
  let mints = 0;
  setSaboteur(async ({ name }, call) => {
    if (name !== "device.mintTicket") return call();
    mints += 1;
    if (mints === 1) throw new Error("the device is unreachable");
    return call();
  });
  const first = await newDevice();
  const second = await newDevice();
  await fleet.want(first);
  await fleet.want(second);
  const reached = await host.next("assign");
  expect(mints).toBe(2);
  await passTime(fleet, 2_000);
  const retried = await host.next("assign");
  expect([reached.deviceId, retried.deviceId].toSorted()).toEqual([first, second].toSorted());
  expect(mints).toBe(3);
});

it("sends a host no more than twenty-five assignments in a second", async () => {
  const fleet = newFleet();
  // Ahead of the machine's clock, so that no alarm rings but those that are rung here.
  vi.setSystemTime(Date.now() + 3_600_000);
  const devices = await Promise.all(Array.from({ length: 30 }, async () => newDevice()));
  for (const deviceId of devices) await fleet.want(deviceId);
  const host = await acceptedHost(fleet);
  for (let rings = 0; rings < 3; rings += 1) await ring(fleet);
  expect(await hostView(fleet, host)).toMatchObject({ devices: 25 });
  await passTime(fleet, 1_000);
  expect(await hostView(fleet, host)).toMatchObject({ devices: 30 });
});

it("withdraws what runs on a host and was not placed there", async () => {
  const fleet = newFleet();
  const host = await acceptedHost(fleet);
  const device = await placed(fleet, host);
  const stranger = { deviceId: unknownDevice(), placementId: 12 };
  const outdated = { deviceId: device.deviceId, placementId: device.placementId - 1 };
  host.report([device, stranger]);
  expect(await host.next("withdraw")).toEqual({ t: "withdraw", ...stranger });
  host.report([outdated]);
  expect(await host.next("withdraw")).toEqual({ t: "withdraw", ...outdated });
});

it("assigns a device again that vanished from its host's reports", async () => {
  const fleet = newFleet();
  const host = await acceptedHost(fleet);
  const { deviceId, placementId } = await placed(fleet, host);
  expect(await host.framesUntilNow([{ deviceId, placementId }])).toEqual([]);
  expect(await host.framesUntilNow([])).toEqual([]);
  await passTime(fleet, 6_000);
  expect(await host.next("assign")).toMatchObject({ deviceId, placementId });
});

it("leaves a device that asks again where its host reports it running", async () => {
  const fleet = newFleet();
  const host = await acceptedHost(fleet);
  const other = await acceptedHost(fleet, { capacity: 1 });
  const device = await placed(fleet, host);
  await host.framesUntilNow([device]);
  await passTime(fleet, 8_000);
  await fleet.want(device.deviceId);
  await ring(fleet);
  expect(await host.framesUntilNow([device])).toEqual([]);
  expect(await other.framesUntilNow()).toEqual([]);
});

it("believes a device that keeps asking for a minute, whatever its host reports", async () => {
  const fleet = newFleet();
  const host = await acceptedHost(fleet);
  const device = await placed(fleet, host);
  const other = await acceptedHost(fleet);
  for (let asked = 0; asked <= 8; asked += 1) {
    await fleet.want(device.deviceId);
    vi.setSystemTime(Date.now() + 8_000);
    await Promise.all([host.framesUntilNow([device]), other.framesUntilNow()]);
  }
  await fleet.want(device.deviceId);
  await ring(fleet);
  const moved = await other.next("assign");
  expect(moved.deviceId).toBe(device.deviceId);
  expect(moved.placementId).toBeGreaterThan(device.placementId);
});

it("places a device that asks again on another host when its own never ran it", async () => {
  const fleet = newFleet();
  const host = await acceptedHost(fleet);
  const device = await placed(fleet, host);
  const other = await acceptedHost(fleet);
  for (let step = 0; step < 3; step += 1) {
    vi.setSystemTime(Date.now() + 7_000);
    await Promise.all([host.framesUntilNow(), other.framesUntilNow()]);
  }
  await fleet.want(device.deviceId);
  await ring(fleet);
  const moved = await other.next("assign");
  expect(moved.deviceId).toBe(device.deviceId);
  expect(moved.placementId).toBeGreaterThan(device.placementId);
});

it("withdraws a released device and forgets it", async () => {
  const fleet = newFleet();
  const host = await acceptedHost(fleet);
  const { deviceId, placementId } = await placed(fleet, host);
  await fleet.release(deviceId);
  expect(await host.next("withdraw")).toEqual({ t: "withdraw", deviceId, placementId });
  await ring(fleet);
  expect(await hostView(fleet, host)).toMatchObject({ devices: 0 });
});
