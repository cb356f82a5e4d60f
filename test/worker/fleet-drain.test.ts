/** The operator empties a host: its phones go where there is room, none comes, whatever process of it runs, until undone. */
import { afterEach, describe, expect, it, vi } from "vitest";
import {
  approve,
  HostSocket,
  hostView,
  newDevice,
  newFleet,
  passTime,
  ring,
  type FleetStub,
  type Running,
} from "./fleet-support.ts";

afterEach(() => {
  vi.useRealTimers();
});

const SECOND_MS = 1_100;

async function hostWith(fleet: FleetStub, count: number) {
  const approved = await approve(fleet);
  const host = await HostSocket.accepted(fleet, approved);
  await host.framesUntilNow();
  const running: Running[] = [];
  for (let one = 0; one < count; one += 1) {
    const deviceId = await newDevice();
    await fleet.want(deviceId);
    await ring(fleet);
    const { placementId } = await host.next("assign");
    running.push({ deviceId, placementId });
    await host.framesUntilNow(running);
  }
  return { host, running, approved };
}

async function anotherHost(fleet: FleetStub, devicesMax = 100) {
  const approved = await approve(fleet, devicesMax);
  const host = await HostSocket.accepted(fleet, approved);
  await host.framesUntilNow();
  return host;
}

describe("a drained host", () => {
  it("hands all its phones over and gets no new one", async () => {
    const fleet = newFleet();
    const { host, running } = await hostWith(fleet, 3);
    const other = await anotherHost(fleet);
    const drained = await fleet.drainHost(host.hostId, true);
    expect(drained).toMatchObject({ ok: true, value: { drained: true, draining: false } });
    await passTime(fleet, SECOND_MS);
    const taken: string[] = [];
    for (let one = 0; one < 3; one += 1) {
      taken.push((await other.next("assign")).deviceId);
      await host.next("withdraw");
    }
    expect(taken.toSorted()).toEqual(running.map(({ deviceId }) => deviceId).toSorted());
    expect(await hostView(fleet, host)).toMatchObject({ devices: 0, drained: true });
    const newcomer = await newDevice();
    await fleet.want(newcomer);
    await ring(fleet);
    // What it has not confirmed is assigned to it again.
    let assigned = taken[0];
    while (assigned !== undefined && taken.includes(assigned)) {
      assigned = (await other.next("assign")).deviceId;
    }
    expect(assigned).toBe(newcomer);
    expect(await host.framesUntilNow()).toEqual([]);
  });

  it("keeps what finds no room elsewhere, and lets it go once there is some", async () => {
    const fleet = newFleet();
    const { host, running } = await hostWith(fleet, 2);
    const small = await anotherHost(fleet, 1);
    await fleet.drainHost(host.hostId, true);
    await passTime(fleet, SECOND_MS);
    const { deviceId } = await small.next("assign");
    await host.next("withdraw");
    const left = running.filter((one) => one.deviceId !== deviceId);
    expect(await host.framesUntilNow(left)).toEqual([]);
    expect(await hostView(fleet, host)).toMatchObject({ devices: 1 });
    const large = await anotherHost(fleet);
    await passTime(fleet, SECOND_MS);
    expect(await large.next("assign")).toMatchObject({ deviceId: left[0]?.deviceId });
  });

  it("is still drained when another process of it comes, unlike one that only ended", async () => {
    const fleet = newFleet();
    const { host, approved } = await hostWith(fleet, 0);
    await fleet.drainHost(host.hostId, true);
    host.send({ t: "draining" });
    host.send({ t: "goodbye" });
    await host.closed;
    const again = await HostSocket.accepted(fleet, approved);
    await again.framesUntilNow();
    const deviceId = await newDevice();
    await fleet.want(deviceId);
    await ring(fleet);
    expect(await again.framesUntilNow()).toEqual([]);
    expect(await hostView(fleet, again)).toMatchObject({ drained: true, draining: false });
    await fleet.drainHost(host.hostId, false);
    await ring(fleet);
    expect(await again.next("assign")).toMatchObject({ deviceId });
  });

  it("keeps what it still runs when that is undone", async () => {
    const fleet = newFleet();
    const { host, running } = await hostWith(fleet, 2);
    await fleet.drainHost(host.hostId, true);
    await passTime(fleet, SECOND_MS);
    await fleet.drainHost(host.hostId, false);
    const other = await anotherHost(fleet);
    await passTime(fleet, SECOND_MS);
    expect(await other.framesUntilNow()).toEqual([]);
    expect(await host.framesUntilNow(running)).toEqual([]);
    expect(await hostView(fleet, host)).toMatchObject({ devices: 2, drained: false });
  });

  it("takes back what was wanted while its control socket was away, since nobody else has it", async () => {
    const fleet = newFleet();
    const { host, running, approved } = await hostWith(fleet, 1);
    await fleet.drainHost(host.hostId, true);
    host.close();
    await passTime(fleet, 3_500);
    await passTime(fleet, 3_500);
    const back = await HostSocket.accepted(fleet, approved, { bootId: host.bootId, running });
    expect(await back.framesUntilNow(running)).toEqual([]);
    expect(await hostView(fleet, back)).toMatchObject({ devices: 1 });
  });

  it("is known to the operator only", async () => {
    const fleet = newFleet();
    expect(await fleet.drainHost("nobody", true)).toEqual({
      ok: false,
      error: { reason: "unknown" },
    });
  });
});
