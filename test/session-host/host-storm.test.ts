/**
 * A WhatsApp that refuses: how often a host knocks, counted by the simulator. Chance is the worst there is (every wait the
 * shortest) and time thirty times as fast: ten attempts in 2.5 s stand for ten in 75 s.
 */
import { afterEach, expect, test } from "vitest";
import type { EvidenceReport } from "../../session-host/simulator/evidence.ts";
import type { ConnectionRecord } from "../../session-host/simulator/connection-log.ts";
import { reconnectDefaults } from "../../session-host/reconnect.ts";
import type { FakeDevice } from "./support/fake-device.ts";
import { startRig, type Rig } from "./support/rig.ts";

const FASTER = 30;
/** How much later than it was tried a connection may be seen on a busy machine. */
const LATE_MS = 300;
const { backoff, attemptsMax, windowMs } = reconnectDefaults;
const HASTY = {
  backoff: {
    firstMs: backoff.firstMs / FASTER,
    capMs: backoff.capMs / FASTER,
    floorMs: backoff.floorMs / FASTER,
  },
  attemptsMax,
  windowMs: windowMs / FASTER,
  stableMs: reconnectDefaults.stableMs / FASTER,
};
const luckless = (): number => 0;

let rig: Rig | null = null;
afterEach(async () => {
  await rig?.close();
  rig = null;
});

function phone(n: number): string {
  return `62812000041${String(n).padStart(2, "0")}`;
}

async function pairedPhones(on: Rig, count: number): Promise<FakeDevice[]> {
  const devices: FakeDevice[] = [];
  for (let n = 0; n < count; n += 1) {
    const device = on.edge.addDevice();
    await on.pair(device, phone(n));
    devices.push(device);
  }
  return devices;
}

/** Attempts of one phone, or of all, that the simulator saw since. */
async function attempts(on: Rig, sinceMs: number, number?: string): Promise<ConnectionRecord[]> {
  const { connections } = (await on.ask("/evidence")) as EvidenceReport;
  return connections.filter(
    (one) => one.openedMs >= sinceMs && one.number !== "" && (number ?? one.number) === one.number,
  );
}

/** The most that began within any such time. */
function mostWithin(records: readonly ConnectionRecord[], ms: number): number {
  const starts = records.map(({ openedMs }) => openedMs);
  return Math.max(
    ...starts.map((from) => starts.filter((at) => at >= from && at < from + ms).length),
  );
}

function closes(device: FakeDevice): number {
  return device.factsOf("session").filter(({ state }) => state === "closed").length;
}

test.each([503, 500, 515])(
  "a phone that is refused with %i for ever is tried on and on, at most ten times in 75 s",
  async (reason) => {
    rig = await startRig({ reconnect: HASTY, random: luckless });
    const [device] = await pairedPhones(rig, 1);
    await rig.ask("/faults", { kind: "login_failure", account: phone(0), reason, count: null });
    const startMs = Date.now();
    const before = closes(device as FakeDevice);
    await rig.ask("/faults", { kind: "drop", account: phone(0) });
    await device?.until(() => closes(device) - before > 2 * attemptsMax + 2, 25_000);
    const seen = await attempts(rig, startMs, phone(0));
    expect(seen.length).toBeGreaterThan(2 * attemptsMax);
    // What was tried late is seen late, and so the next one comes early.
    expect(mostWithin(seen, HASTY.windowMs - LATE_MS)).toBeLessThanOrEqual(attemptsMax);
    await rig.ask("/faults", { kind: "clear" });
    await device?.until(() => device.factsOf("drained").length === 2, 25_000);
  },
);

test("what other hosts have tried in the meantime counts", async () => {
  rig = await startRig({ reconnect: HASTY, random: luckless });
  const [device] = await pairedPhones(rig, 1);
  if (device === undefined) throw new Error("no device");
  await rig.host.stop();
  device.attemptsAgoMs = Array.from({ length: attemptsMax }, (_, n) => n * 10);
  const startMs = Date.now();
  rig.anotherHost();
  await rig.edge.assign(device);
  await device.until(() => device.factsOf("drained").length === 2, 15_000);
  const [first] = await attempts(rig, startMs, phone(0));
  expect((first?.openedMs ?? 0) - startMs).toBeGreaterThan(HASTY.windowMs - LATE_MS);
});

test("a host keeps to the fleet's share, however many phones come at once", async () => {
  rig = await startRig({ reconnect: HASTY, random: luckless });
  const devices = await pairedPhones(rig, 6);
  rig.edge.order({ perSecond: 4, atOnce: 2, stopped: false });
  await rig.ask("/faults", { kind: "login_failure", account: null, reason: 503, count: null });
  const startMs = Date.now();
  await rig.ask("/faults", { kind: "drop", account: null });
  const counted = devices.map((device) => closes(device));
  const all = (): number =>
    devices.reduce((sum, device, n) => sum + closes(device) - (counted[n] ?? 0), 0);
  await Promise.race(devices.map((device) => device.until(() => all() >= 26, 25_000)));
  const seen = await attempts(rig, startMs);
  expect(seen.length).toBeGreaterThanOrEqual(20);
  expect(mostWithin(seen, 1_000 - LATE_MS)).toBeLessThanOrEqual(5);
});

test("after the first 405 no phone of the host logs in with that client, until the fleet allows it again", async () => {
  rig = await startRig({ reconnect: HASTY, random: luckless });
  const devices = await pairedPhones(rig, 6);
  rig.edge.order({ perSecond: 1_000, atOnce: 2, stopped: false });
  await rig.ask("/faults", { kind: "login_failure", account: null, reason: 405, count: null });
  const startMs = Date.now();
  await rig.ask("/faults", { kind: "drop", account: null });
  const { edge } = rig;
  await edge.until(() => edge.controlFrames.some(({ t }) => t === "client_refused"));
  // Orders that crossed the news do not let anybody in.
  edge.order({ perSecond: 1_000, atOnce: 2, stopped: false });
  edge.order({ perSecond: 1_000, atOnce: 2, stopped: true });
  await Promise.all(devices.map((device) => device.until(() => closes(device) > 1)));
  const restarts = edge.controlFrames.filter(({ t }) => t === "report").length;
  await edge.until(
    () => edge.controlFrames.filter(({ t }) => t === "report").length > restarts,
    15_000,
  );
  const refused = await attempts(rig, startMs);
  expect(refused.length).toBeLessThanOrEqual(2);
  expect(edge.controlFrames.filter(({ t }) => t === "client_refused")).toHaveLength(1);

  await rig.ask("/faults", { kind: "clear" });
  edge.order({ perSecond: 1_000, atOnce: 2, stopped: false });
  await Promise.all(
    devices.map((device) => device.until(() => device.factsOf("drained").length === 2, 15_000)),
  );
});
