/**
 * The host beside edges of other versions. Every frame it sends to an edge of the first version is held against what that
 * version could read, as it was released.
 */
import { afterEach, expect, test } from "vitest";
import { readerOf, type Speaker } from "../support/bridge-golden.ts";
import type { FakeDevice } from "./support/fake-device.ts";
import { sendCommand, startRig, type Rig } from "./support/rig.ts";

const phone = "6281200001111";
const contact = "6281200002222";
let rig: Rig | null = null;

afterEach(async () => {
  await rig?.close();
  rig = null;
});

function hellos(from: Rig, device: FakeDevice): number[] {
  return [...from.edge.controlFrames, ...device.frames].flatMap((frame) =>
    frame.t === "hello" ? [frame.protocol] : [],
  );
}

/** What an edge of the first version would not have understood. */
function unreadAtFirst(from: Rig, device: FakeDevice): string[] {
  const complaint = readerOf(1);
  const said: [Speaker, object][] = [
    ...from.edge.controlFrames.map((frame): [Speaker, object] => ["host-control", frame]),
    ...device.frames.map((frame): [Speaker, object] => ["host", frame]),
  ];
  return said.map(([speaker, frame]) => complaint(speaker, frame)).filter((one) => one !== null);
}

/** A phone's day: paired, writing, refused, restricted and free again, dropped and back, gone. */
async function live(device: FakeDevice, on: Rig): Promise<void> {
  await on.pair(device, phone);
  const command = sendCommand(1, contact, "halo dari kabar");
  device.command(command);
  await device.fact("receipt", ({ receipt }) => receipt === "read");
  await on.ask(`/phones/${phone}/restriction`, { active: true, announce: true });
  await device.fact("restricted");
  device.command(sendCommand(2, "6281200003333", "belum kenal sama sekali"));
  await device.fact("ack", ({ error }) => error === 463);
  await on.ask(`/phones/${phone}/restriction`, { active: false, announce: true });
  await on.ask(`/phones/${contact}/send`, { to: phone, text: "balasan dari kontak" });
  await device.until(() => device.inbound.length > 0);
  device.cut();
  await device.until(() => device.opened === 2 && device.connected);
  device.command({ kind: "unlink" });
  await device.fact("session", ({ reason }) => reason === "logged_out");
}

test("with an edge that names no version the host says nothing that the first version could not read", async () => {
  rig = await startRig({ protocols: null });
  const device = rig.edge.addDevice();
  await live(device, rig);
  await rig.host.stop();
  expect(hellos(rig, device)).toEqual([1, 1, 1]);
  expect(unreadAtFirst(rig, device)).toEqual([]);
  expect(device.factsOf("unrestricted")).toEqual([]);
});

test("with an edge of its own version it speaks that, and tells the end of a restriction", async () => {
  rig = await startRig();
  const device = rig.edge.addDevice();
  await live(device, rig);
  await rig.host.stop();
  expect(hellos(rig, device)).toEqual([2, 2, 2]);
  expect(device.factsOf("unrestricted")).toHaveLength(1);
  expect(unreadAtFirst(rig, device)).toHaveLength(1);
});

test("an edge that goes back a version is spoken to in that from the next socket on", async () => {
  rig = await startRig();
  const device = rig.edge.addDevice();
  await rig.pair(device, phone);
  rig.edge.protocols = null;
  device.cut();
  await device.until(() => device.opened === 2 && device.connected);
  const command = sendCommand(1, contact, "halo lagi dari kabar");
  device.command(command);
  await device.fact("ack", ({ waId }) => waId === command.waId);
  expect(hellos(rig, device)).toEqual([2, 2, 1]);
});

test("an edge without a version in common is told apart from a refused token, and asked again", async () => {
  rig = await startRig({ protocols: "4,3" });
  const { edge } = rig;
  await edge.until(() => edge.controlUpgrades.length === 1);
  await edge.until(() => edge.controlCloses === 1);
  expect(edge.controlFrames).toEqual([]);
  expect(rig.host.controlConnected).toBe(false);
});
