/**
 * How many logins each host is allowed, and what follows when WhatsApp refuses a client version: no host of that version logs
 * anybody in, one alert is raised, phones go to hosts of another.
 */
import { afterEach, expect, it, vi } from "vitest";
import { shareOf } from "../../src/fleet/login-desk.ts";
import {
  approve,
  HostSocket,
  hostView,
  newDevice,
  newFleet,
  passTime,
  ring,
  type Approved,
  type FleetStub,
  type LoginOrders,
} from "./fleet-support.ts";

afterEach(() => {
  vi.restoreAllMocks();
  vi.useRealTimers();
});

const BUDGET = { perSecond: 40, atOnce: 20 };

async function untilOrders(host: HostSocket, fits: (orders: LoginOrders) => boolean) {
  return vi.waitFor(() => {
    const last = host.orders.at(-1);
    if (last === undefined || !fits(last)) throw new Error(`last orders ${JSON.stringify(last)}`);
    return last;
  });
}

/** What was said at the alert level, by message. */
function listenToAlerts(): string[] {
  const alerts: string[] = [];
  vi.spyOn(console, "error").mockImplementation((line: string) => {
    const said = JSON.parse(line) as { level: string; message: string };
    if (said.level === "alert") alerts.push(said.message);
  });
  return alerts;
}

function accepted(fleet: FleetStub, approved: Approved, clientVersion: string) {
  return HostSocket.accepted(fleet, approved, { clientVersion });
}

it("a share is what all hosts together keep within the budget, and never nothing", () => {
  for (let hosts = 1; hosts <= 20; hosts += 1) {
    const share = shareOf(BUDGET, hosts);
    expect(share.perSecond * hosts).toBeCloseTo(BUDGET.perSecond);
    expect(share.atOnce * hosts).toBeLessThanOrEqual(BUDGET.atOnce);
    expect(share.atOnce).toBeGreaterThanOrEqual(1);
  }
  expect(shareOf(BUDGET, 21)).toMatchObject({ atOnce: 1 });
});

it("tells each host its share when one comes and when one goes", async () => {
  const fleet = newFleet();
  const first = await accepted(fleet, await approve(fleet), "a");
  await untilOrders(first, ({ perSecond, atOnce }) => perSecond === 40 && atOnce === 20);
  const second = await accepted(fleet, await approve(fleet), "a");
  for (const host of [first, second]) {
    await untilOrders(host, ({ perSecond, atOnce }) => perSecond === 20 && atOnce === 10);
  }
  second.send({ t: "goodbye" });
  await untilOrders(first, ({ perSecond }) => perSecond === 40);
  const third = await accepted(fleet, await approve(fleet), "a");
  await untilOrders(first, ({ perSecond }) => perSecond === 20);
  third.close();
  await untilOrders(first, ({ perSecond }) => perSecond === 40);
  expect(first.orders.every(({ stopped }) => !stopped)).toBe(true);
});

it("tells a host that fell silent's share to the others", async () => {
  const fleet = newFleet();
  const [living, silent] = [
    await accepted(fleet, await approve(fleet), "a"),
    await accepted(fleet, await approve(fleet), "a"),
  ];
  await untilOrders(living, ({ perSecond }) => perSecond === 20);
  await passTime(fleet, 6_000);
  living.report([]);
  await living.framesUntilNow();
  await passTime(fleet, 5_000);
  expect(await silent.closed).toBe(4408);
  await untilOrders(living, ({ perSecond }) => perSecond === 40);
});

it("gives no orders to a host that speaks the first version of the bridge", async () => {
  const fleet = newFleet();
  const old = await HostSocket.accepted(fleet, await approve(fleet), { protocol: 1 });
  const young = await accepted(fleet, await approve(fleet), "a");
  await untilOrders(young, ({ perSecond }) => perSecond === 20);
  await old.framesUntilNow();
  expect(old.orders).toEqual([]);
});

it("stops all hosts of a refused client version with one alert, and no others", async () => {
  const alerts = listenToAlerts();
  const fleet = newFleet();
  const approvals = [await approve(fleet), await approve(fleet), await approve(fleet)] as const;
  const [refused, twin, other] = [
    await accepted(fleet, approvals[0], "2.3000.1"),
    await accepted(fleet, approvals[1], "2.3000.1"),
    await accepted(fleet, approvals[2], "2.3000.2"),
  ];
  refused.send({ t: "client_refused" });
  for (const host of [refused, twin]) await untilOrders(host, ({ stopped }) => stopped);
  twin.send({ t: "client_refused" });
  await twin.framesUntilNow();
  expect(other.orders.every(({ stopped }) => !stopped)).toBe(true);
  expect(alerts).toEqual(["WhatsApp refuses a client version"]);
  expect(await hostView(fleet, twin)).toMatchObject({
    clientRefused: true,
    clientVersion: "2.3000.1",
  });
  expect(await hostView(fleet, other)).toMatchObject({ clientRefused: false });
});

it("a refused version stays refused for whoever comes with it, until the operator allows it", async () => {
  listenToAlerts();
  const fleet = newFleet();
  const approved = await approve(fleet);
  const host = await accepted(fleet, approved, "2.3000.1");
  host.send({ t: "client_refused" });
  await untilOrders(host, ({ stopped }) => stopped);
  const restarted = await accepted(fleet, approved, "2.3000.1");
  await untilOrders(restarted, ({ stopped }) => stopped);
  expect(await fleet.allowClient("2.3000.9")).toEqual({ ok: false, error: { reason: "unknown" } });
  expect((await fleet.allowClient("2.3000.1")).ok).toBe(true);
  await untilOrders(restarted, ({ stopped }) => !stopped);
  const upgraded = await accepted(fleet, approved, "2.3000.2");
  await untilOrders(upgraded, ({ stopped }) => !stopped);
});

it("phones on a host with a refused client go to one with another, and stay while there is none", async () => {
  listenToAlerts();
  const fleet = newFleet();
  const old = await accepted(fleet, await approve(fleet), "2.3000.1");
  const deviceId = await newDevice();
  await fleet.want(deviceId);
  await passTime(fleet, 1_100);
  const { placementId } = await old.next("assign");
  const running = [{ deviceId, placementId }];
  old.report(running);
  await old.framesUntilNow(running);
  old.send({ t: "client_refused" });
  await untilOrders(old, ({ stopped }) => stopped);
  await passTime(fleet, 1_100);
  expect(await old.framesUntilNow(running)).toEqual([]);
  expect(await hostView(fleet, old)).toMatchObject({ devices: 1 });
  const young = await accepted(fleet, await approve(fleet), "2.3000.2");
  await young.framesUntilNow();
  await ring(fleet);
  expect(await young.next("assign")).toMatchObject({ deviceId });
  expect(await old.next("withdraw")).toMatchObject({ deviceId });
});

it("names the versions it speaks in its answer to an upgrade", async () => {
  const fleet = newFleet();
  const approved = await approve(fleet);
  const answer = await fleet.fetch("https://gateway.test/bridge/control", {
    headers: {
      upgrade: "websocket",
      authorization: `Bearer ${approved.token}`,
      "x-kabar-boot": "boot-0001",
    },
  });
  expect([answer.status, answer.headers.get("x-kabar-protocols")]).toEqual([101, "2,1"]);
  answer.webSocket?.accept();
  answer.webSocket?.close(1000, "test");
});
