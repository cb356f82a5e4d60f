/**
 * Who may act: leases, resumes, epochs, takeovers, and what ends a session for good.
 */
import { afterEach, beforeEach, expect, test } from "vitest";
import { sendCommand, startRig } from "./support/rig.ts";
import type { Rig } from "./support/rig.ts";
import type { FakeDevice } from "./support/fake-device.ts";

let rig: Rig;
let device: FakeDevice;
beforeEach(async () => {
  rig = await startRig();
  device = rig.edge.addDevice();
});
afterEach(() => rig.close());

const phone = "6281200001111";
const contact = "6281200002222";

async function online(): Promise<boolean> {
  const view = JSON.stringify(await rig.ask(`/phones/${phone}`));
  return view.includes('"online":true');
}

test("a session whose leases are over leaves WhatsApp, and comes back with them", async () => {
  await rig.pair(device, phone);
  expect(await online()).toBe(true);
  rig.edge.answerPings = false;
  device.answerPings = false;
  await device.fact("session", ({ state, code }) => state === "closed" && code === null, 9_000);
  const text = sendCommand(1, contact, "terlambat");
  device.command(text);
  expect(await device.fact("send_result")).toMatchObject({
    outcome: { kind: "not_sent", reason: "lease_over" },
  });
  const opens = device.factsOf("session").filter(({ state }) => state === "open").length;
  rig.edge.answerPings = true;
  device.answerPings = true;
  await device.until(
    () => device.factsOf("session").filter(({ state }) => state === "open").length > opens,
    20_000,
  );
  expect(await online()).toBe(true);
});

test("the loss of the control socket costs no service", async () => {
  await rig.pair(device, phone);
  rig.edge.refuseControl = 503;
  rig.edge.cutControl();
  const command = sendCommand(1, contact, "tanpa armada");
  device.command(command);
  expect(await device.fact("ack", ({ waId }) => waId === command.waId)).toMatchObject({
    error: null,
  });
});

test("a lost bridge is resumed under the same epoch, and what was on its way is sent again", async () => {
  await rig.pair(device, phone);
  const { epoch } = device;
  device.holdCommit = ({ forMessages }) => forMessages.length > 0;
  const command = sendCommand(1, contact, "lewat jembatan baru");
  device.command(command);
  await device.until(() =>
    device.frames.some((frame) => frame.t === "keys_commit" && frame.forMessages.length > 0),
  );
  const seq = device.keysSeq + 1;
  device.holdCommit = () => false;
  device.cut();
  await device.fact("ack", ({ waId }) => waId === command.waId);
  expect(device.epoch).toBe(epoch);
  expect(device.commits.find(({ forMessages }) => forMessages.length > 0)?.seq).toBe(seq);
  expect(
    device
      .factsOf("session")
      .filter(({ state }) => state === "closed")
      .every(({ code }) => code === 515),
  ).toBe(true);
});

test("a bridge lost for good takes the session off WhatsApp", async () => {
  await rig.pair(device, phone);
  device.refuseResume = 403;
  const after = rig.simulator.network.events.last;
  device.cut();
  await rig.simulator.network.events.waitFor(
    (event) => event.kind === "disconnected" && event.seq > after,
    5_000,
  );
  expect(await online()).toBe(false);
});

test("another host with nothing but the stored rows sends on without pairing again", async () => {
  await rig.pair(device, phone);
  const first = sendCommand(1, contact, "dari host pertama");
  device.command(first);
  await device.fact("ack", ({ waId }) => waId === first.waId);
  await rig.host.stop();
  rig.anotherHost();
  const opens = device.factsOf("session").filter(({ state }) => state === "open").length;
  await rig.edge.assign(device);
  await device.until(
    () => device.factsOf("session").filter(({ state }) => state === "open").length > opens,
  );
  const second = sendCommand(2, contact, "dari host kedua");
  device.command(second);
  await device.fact("ack", ({ waId }) => waId === second.waId);
  await device.fact(
    "receipt",
    ({ waIds, receipt }) => receipt === "delivered" && waIds.includes(second.waId),
  );
  const evidence = (await rig.ask("/evidence")) as { keyReuses: number; unexpected: unknown[] };
  expect(evidence.keyReuses).toBe(0);
  expect(evidence.unexpected).toEqual([]);
});

test("a stopping host says goodbye as its last frame, after the last key commit was acknowledged", async () => {
  await rig.pair(device, phone);
  await rig.host.stop();
  await device.until(() => !device.connected);
  expect(device.frames.at(-1)).toEqual({ t: "goodbye" });
  expect(device.commits.length).toBe(device.frames.filter(({ t }) => t === "keys_commit").length);
  expect(rig.edge.controlFrames.map(({ t }) => t).slice(-2)).toEqual(["report", "goodbye"]);
  expect(rig.edge.controlFrames.some(({ t }) => t === "draining")).toBe(true);
});

test("a revoked epoch ends the socket and the bridge", async () => {
  await rig.pair(device, phone);
  device.revoke("new_epoch");
  await device.fact("session", ({ reason }) => reason === "stopped");
  await device.until(() => !device.connected);
  expect(await online()).toBe(false);
});

test("keys that cannot be unsealed are a store error, never a new pairing", async () => {
  await rig.pair(device, phone);
  await rig.host.stop();
  const creds = device.rows.get("creds|creds");
  if (creds === undefined || creds.value === null) throw new Error("no creds stored");
  device.rows.set("creds|creds", { ...creds, value: `${creds.value.slice(0, -8)}AAAAAAA=` });
  rig.anotherHost();
  await rig.edge.assign(device);
  expect(await device.fact("session", ({ reason }) => reason === "store_error")).toMatchObject({
    retryAtMs: null,
  });
  expect(device.factsOf("qr").length).toBe(1);
});

test("absent creds of a paired device are a store error", async () => {
  device.pairing = "paired";
  await rig.edge.assign(device);
  expect(await device.fact("session", ({ reason }) => reason === "store_error")).toMatchObject({
    retryAtMs: null,
  });
  expect(device.rows.size).toBe(0);
});
