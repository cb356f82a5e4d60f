/** When a host counts as dead, what becomes of its devices, and what the Fleet's own end changes. */
import { evictDurableObject } from "cloudflare:test";
import { afterEach, expect, it, vi } from "vitest";
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
} from "./fleet-support.ts";

afterEach(() => {
  vi.useRealTimers();
});

async function acceptedHost(fleet: FleetStub): Promise<HostSocket> {
  const host = await HostSocket.accepted(fleet, await approve(fleet));
  await host.framesUntilNow();
  return host;
}

/** A host that runs one device and has said so. */
async function hostWithDevice(fleet: FleetStub): Promise<{ host: HostSocket; device: Running }> {
  const host = await acceptedHost(fleet);
  const deviceId = await newDevice();
  await fleet.want(deviceId);
  const { placementId } = await host.next("assign");
  const device = { deviceId, placementId };
  await host.framesUntilNow([device]);
  return { host, device };
}

async function lose(fleet: FleetStub, host: HostSocket): Promise<void> {
  host.close();
  await vi.waitFor(async () => {
    expect(await hostView(fleet, host)).toMatchObject({ connected: false });
  });
}

it("gives the devices of a dead host to another under a new placement id", async () => {
  const fleet = newFleet();
  const { host, device } = await hostWithDevice(fleet);
  const other = await acceptedHost(fleet);
  await lose(fleet, host);
  await passTime(fleet, 2_000);
  expect(await other.framesUntilNow()).toEqual([]);
  await passTime(fleet, 1_500);
  const moved = await other.next("assign");
  expect(moved.deviceId).toBe(device.deviceId);
  expect(moved.placementId).toBeGreaterThan(device.placementId);
});

it("keeps the devices of a process that comes back within the grace", async () => {
  const fleet = newFleet();
  const { host, device } = await hostWithDevice(fleet);
  const other = await acceptedHost(fleet);
  await lose(fleet, host);
  await passTime(fleet, 2_000);
  const back = await HostSocket.accepted(fleet, host, {
    bootId: host.bootId,
    running: [device],
  });
  await passTime(fleet, 3_000);
  expect(await back.framesUntilNow([device])).toEqual([]);
  expect(await other.framesUntilNow()).toEqual([]);
  expect(await hostView(fleet, back)).toMatchObject({ connected: true, devices: 1 });
});

it("leaves its devices to a process that comes back late while nobody else has them", async () => {
  const fleet = newFleet();
  const { host, device } = await hostWithDevice(fleet);
  await lose(fleet, host);
  await passTime(fleet, 4_000);
  expect(await hostView(fleet, host)).toMatchObject({ devices: 0 });
  const back = await HostSocket.accepted(fleet, host, { bootId: host.bootId, running: [device] });
  expect(await back.framesUntilNow([device])).toEqual([]);
  await ring(fleet);
  expect(await back.framesUntilNow([device])).toEqual([]);
  expect(await hostView(fleet, back)).toMatchObject({ devices: 1 });
});

it("withdraws from a process that comes back when another has its devices", async () => {
  const fleet = newFleet();
  const { host, device } = await hostWithDevice(fleet);
  const other = await acceptedHost(fleet);
  await lose(fleet, host);
  await passTime(fleet, 4_000);
  await other.next("assign");
  const back = await HostSocket.accepted(fleet, host, { bootId: host.bootId, running: [device] });
  expect(await back.next("withdraw")).toEqual({ t: "withdraw", ...device });
});

it("buries a host that is silent for ten seconds although its socket is open", async () => {
  const fleet = newFleet();
  const { host, device } = await hostWithDevice(fleet);
  const other = await acceptedHost(fleet);
  await passTime(fleet, 9_000);
  expect(await hostView(fleet, host)).toMatchObject({ connected: true });
  await other.framesUntilNow();
  await passTime(fleet, 2_000);
  expect(await host.closed).toBe(4408);
  expect(await other.next("assign")).toMatchObject({ deviceId: device.deviceId });
});

it("buries nobody for a silence in which it slept itself", async () => {
  const fleet = newFleet();
  const { host, device } = await hostWithDevice(fleet);
  await passTime(fleet, 60_000);
  expect(await hostView(fleet, host)).toMatchObject({ connected: true, devices: 1 });
  expect(await host.framesUntilNow([device])).toEqual([]);
});

it("buries nobody for a silence in which it slept and hibernated", async () => {
  const fleet = newFleet();
  const { host, device } = await hostWithDevice(fleet);
  await evictDurableObject(fleet);
  vi.setSystemTime(Date.now() + 60_000);
  expect(await hostView(fleet, host)).toMatchObject({ connected: true });
  await passTime(fleet, 5_000);
  expect(await hostView(fleet, host)).toMatchObject({ connected: true, devices: 1 });
  expect(await host.framesUntilNow([device])).toEqual([]);
});

it("goes on after hibernation with the sockets it had", async () => {
  const fleet = newFleet();
  const { host, device } = await hostWithDevice(fleet);
  await evictDurableObject(fleet);
  expect(await hostView(fleet, host)).toMatchObject({ connected: true, devices: 1 });
  const deviceId = await newDevice();
  await fleet.want(deviceId);
  const second = await host.next("assign");
  expect(second.deviceId).toBe(deviceId);
  expect(second.placementId).toBeGreaterThan(device.placementId);
});

it("gives every host time to come back after a restart of its own", async () => {
  const fleet = newFleet();
  const { host, device } = await hostWithDevice(fleet);
  await evictDurableObject(fleet, { webSockets: "close" });
  await passTime(fleet, 9_000);
  expect(await hostView(fleet, host)).toMatchObject({ connected: false, devices: 1 });
  const back = await HostSocket.accepted(fleet, host, { bootId: host.bootId, running: [device] });
  expect(await back.framesUntilNow([device])).toEqual([]);
});

it("moves the devices of a host that did not come back after a restart", async () => {
  const fleet = newFleet();
  const { host, device } = await hostWithDevice(fleet);
  await evictDurableObject(fleet, { webSockets: "close" });
  const other = await acceptedHost(fleet);
  await passTime(fleet, 9_000);
  await other.framesUntilNow();
  await passTime(fleet, 2_000);
  const moved = await other.next("assign");
  expect(moved.deviceId).toBe(device.deviceId);
  expect(moved.placementId).toBeGreaterThan(device.placementId);
  expect(await hostView(fleet, host)).toMatchObject({ devices: 0 });
});

it("places what was wanted before a restart", async () => {
  const fleet = newFleet();
  const deviceId = await newDevice();
  await fleet.want(deviceId);
  await evictDurableObject(fleet);
  const host = await HostSocket.accepted(fleet, await approve(fleet));
  expect(await host.next("assign")).toMatchObject({ deviceId });
});

it("moves the devices of a draining host at once and tells it to let go", async () => {
  const fleet = newFleet();
  const { host, device } = await hostWithDevice(fleet);
  const other = await acceptedHost(fleet);
  host.send({ t: "draining" });
  const moved = await other.next("assign");
  expect(moved.deviceId).toBe(device.deviceId);
  expect(moved.placementId).toBeGreaterThan(device.placementId);
  expect(await host.next("withdraw")).toEqual({ t: "withdraw", ...device });
  expect(await hostView(fleet, host)).toMatchObject({
    connected: true,
    draining: true,
    devices: 0,
  });
  host.send({ t: "goodbye" });
  expect(await host.closed).toBe(1000);
  expect(await hostView(fleet, host)).toMatchObject({ connected: false, draining: false });
});

it("leaves a device on a draining host until another can take it", async () => {
  const fleet = newFleet();
  const { host, device } = await hostWithDevice(fleet);
  host.send({ t: "draining" });
  await host.framesUntilNow([device]);
  await ring(fleet);
  expect(await host.framesUntilNow([device])).toEqual([]);
  expect(await hostView(fleet, host)).toMatchObject({ draining: true, devices: 1 });
  const other = await HostSocket.accepted(fleet, await approve(fleet));
  expect(await other.next("assign")).toMatchObject({ deviceId: device.deviceId });
});

it("places the devices of a host that says goodbye without waiting", async () => {
  const fleet = newFleet();
  const { host, device } = await hostWithDevice(fleet);
  const other = await acceptedHost(fleet);
  host.send({ t: "goodbye" });
  expect(await other.next("assign")).toMatchObject({ deviceId: device.deviceId });
  expect(await host.closed).toBe(1000);
});
