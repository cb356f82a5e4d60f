/**
 * The host end to end, with real Baileys between a fake edge and the simulated WhatsApp: pairing, sending, proof.
 */
import { afterEach, beforeEach, expect, test } from "vitest";
import { sendCommand, startRig } from "./support/rig.ts";
import type { Rig } from "./support/rig.ts";

let rig: Rig;
beforeEach(async () => {
  rig = await startRig();
});
afterEach(() => rig.close());

const phone = "6281200001111";
const contact = "6281200002222";

test("a phone is paired by QR and its keys are stored sealed before the pairing is reported", async () => {
  const device = rig.edge.addDevice();
  await rig.pair(device, phone);
  expect(device.factsOf("paired")).toEqual([expect.objectContaining({ phone })]);
  expect(device.rows.has("creds|creds")).toBe(true);
  expect([...device.rows.keys()].filter((key) => key.startsWith("pre-key|")).length).toBe(812);
  const creds = device.commits.findIndex(({ rows }) => rows.some(({ type }) => type === "creds"));
  expect(creds).toBe(0);
});

test("a text reaches the contact, and ack and receipts come back as facts", async () => {
  const device = rig.edge.addDevice();
  await rig.pair(device, phone);
  const command = sendCommand(7, contact, "halo dari kabar");
  device.command(command);
  expect(await device.fact("ack")).toMatchObject({ waId: command.waId, error: null });
  expect(await device.fact("receipt", ({ receipt }) => receipt === "delivered")).toMatchObject({
    waIds: [command.waId],
  });
  await device.fact("receipt", ({ receipt }) => receipt === "read");
  const messages = await rig.ask(`/messages?number=${contact}`);
  expect(JSON.stringify(messages)).toContain("halo dari kabar");
});

test("a phone is paired by a code typed on it", async () => {
  const device = rig.edge.addDevice();
  await rig.edge.assign(device);
  await device.until(() => device.connected);
  device.command({ kind: "pair", phone });
  const { code } = await device.fact("pairing_code");
  await rig.ask(`/phones/${phone}/link-code`, { code });
  await device.fact("session", ({ state }) => state === "open");
  expect(device.factsOf("paired")).toEqual([expect.objectContaining({ phone })]);
  expect(device.factsOf("qr")).toEqual([]);
});

test("a number that is not on WhatsApp is reported and nothing is sent", async () => {
  const device = rig.edge.addDevice();
  await rig.pair(device, phone);
  device.command(sendCommand(1, "6281200010000", "tidak ada"));
  expect(await device.fact("send_result")).toMatchObject({ outcome: { kind: "not_registered" } });
});

test("a text to our own number reaches the paired phone itself", async () => {
  const device = rig.edge.addDevice();
  await rig.pair(device, phone);
  const command = sendCommand(-1, phone, "Device ID 1 connected");
  device.command(command);
  await device.fact("ack", ({ waId }) => waId === command.waId);
  expect(JSON.stringify(await rig.ask(`/messages?number=${phone}`))).toContain(
    "Device ID 1 connected",
  );
});

test("a text whose time is over is not sent", async () => {
  const device = rig.edge.addDevice();
  await rig.pair(device, phone);
  device.command(sendCommand(1, contact, "terlalu lama", { sendWithinMs: 50, typingMs: 5_000 }));
  expect(await device.fact("send_result")).toMatchObject({
    outcome: { kind: "not_sent", reason: "too_late" },
  });
  expect(device.commits.some(({ forMessages }) => forMessages.length > 0)).toBe(false);
});

test("an error ack is reported with its code, and 463 also as a restriction", async () => {
  const device = rig.edge.addDevice();
  await rig.pair(device, phone);
  await rig.ask("/acks", { mode: "error", code: 463, count: 1 });
  device.command(sendCommand(1, contact, "ditolak"));
  expect(await device.fact("ack")).toMatchObject({ error: 463 });
  await device.fact("restricted");
});

test("unlinking on the phone is reported as logged out and not retried", async () => {
  const device = rig.edge.addDevice();
  await rig.pair(device, phone);
  await rig.ask(`/phones/${phone}/unlink`, {});
  expect(await device.fact("session", ({ reason }) => reason === "logged_out")).toMatchObject({
    retryAtMs: null,
    byWhatsApp: true,
  });
});

test("the unlink command logs the companion out at WhatsApp", async () => {
  const device = rig.edge.addDevice();
  await rig.pair(device, phone);
  device.command({ kind: "unlink" });
  expect(await device.fact("session", ({ reason }) => reason === "logged_out")).toMatchObject({
    code: 401,
  });
});

test("a dropped connection comes back by itself, with the backlog handed over", async () => {
  const device = rig.edge.addDevice();
  await rig.pair(device, phone);
  await rig.ask("/faults", { kind: "drop" });
  await device.fact("session", ({ reason, code }) => reason === "lost" && code === 428);
  await device.until(() => device.factsOf("drained").length === 2);
  expect(device.factsOf("paired")).toHaveLength(1);
});

test("a stream error is survived", async () => {
  const device = rig.edge.addDevice();
  await rig.pair(device, phone);
  await rig.ask("/faults", { kind: "stream_error", code: 503 });
  await device.fact("session", ({ code }) => code === 503);
  await device.until(() => device.factsOf("drained").length === 2);
  expect(device.factsOf("paired")).toHaveLength(1);
});

test("a refused upgrade, of which the client says nothing, is noticed by the watchdog", async () => {
  await rig.close();
  rig = await startRig({ connectWatchdogMs: 2_000 });
  const device = rig.edge.addDevice();
  await rig.pair(device, phone);
  await rig.ask("/faults", { kind: "refuse_upgrade", status: 503, count: 1 });
  await rig.ask("/faults", { kind: "drop" });
  await device.fact("session", ({ state, code }) => state === "closed" && code === null);
  await device.until(() => device.factsOf("drained").length === 2);
  expect(device.factsOf("paired")).toHaveLength(1);
});

test("a session that is replaced tries once more and then leaves the place", async () => {
  const device = rig.edge.addDevice();
  await rig.pair(device, phone);
  await rig.ask("/faults", { kind: "replaced" });
  const first = await device.fact("session", ({ reason }) => reason === "replaced");
  expect(first.retryAtMs).not.toBeNull();
  await device.until(() => device.factsOf("drained").length === 2);
  await rig.ask("/faults", { kind: "replaced" });
  await device.until(
    () => device.factsOf("session").filter(({ reason }) => reason === "replaced").length === 2,
  );
  expect(device.factsOf("session").at(-1)).toMatchObject({ state: "closed", retryAtMs: null });
});

test("a pairing whose references are used up expires and is not continued", async () => {
  const device = rig.edge.addDevice();
  await rig.edge.assign(device);
  await device.until(() => device.connected);
  device.command({ kind: "pair", phone: null });
  const first = await device.fact("qr");
  await rig.ask("/faults", { kind: "drop" });
  expect(await device.fact("session", ({ state }) => state === "closed")).toMatchObject({
    reason: "pairing_expired",
    retryAtMs: null,
    byWhatsApp: false,
  });
  device.command({ kind: "pair", phone: null });
  const keysOf = (qr: string): string[] =>
    qr
      .slice(qr.indexOf("#") + 1)
      .split(",")
      .slice(1, 4);
  const second = await device.fact("qr", ({ qr }) => qr !== first.qr);
  for (const key of keysOf(second.qr)) expect(first.qr).not.toContain(key);
  expect(device.rows.size).toBe(0);
});
