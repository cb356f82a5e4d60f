/**
 * The host as a process of its own: what it prints, how it ends, what its health endpoint shows.
 */
import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { LEASE_MS } from "../../src/bridge/wire.ts";
import { newSealKeyLines } from "../../session-host/seal-proof.ts";
import { startSimulator } from "../../session-host/simulator/simulator.ts";
import type { Simulator } from "../../session-host/simulator/simulator.ts";
import { FakeEdge } from "./support/fake-edge.ts";
import type { FakeDevice } from "./support/fake-device.ts";
import { sendCommand } from "./support/rig.ts";

const main = join(import.meta.dirname, "../../session-host/main.ts");
const phone = "6281200001111";
const contact = "6281200002222";
const token = "host-token-that-is-secret";

let edge: FakeEdge;
let simulator: Simulator;
let child: ChildProcess | null = null;
let output = "";

beforeEach(async () => {
  edge = await FakeEdge.start();
  simulator = await startSimulator({ port: 0 });
  output = "";
});
afterEach(async () => {
  child?.kill("SIGKILL");
  child = null;
  await simulator.close();
  await edge.close();
});

function start(env: Record<string, string>): ChildProcess {
  const started = spawn(process.execPath, [main], { env: { PATH: process.env["PATH"], ...env } });
  started.stdout.on("data", (data: Buffer) => {
    output += data.toString();
    edge.changes.emit("change");
  });
  started.stderr.on("data", (data: Buffer) => {
    output += data.toString();
  });
  child = started;
  return started;
}

function environment(): { env: Record<string, string>; sealKey: string } {
  const [key = "", proofs = ""] = newSealKeyLines("k1").trim().split("\n");
  const sealKey = key.slice("SEAL_KEY=".length);
  edge.sealProof = (JSON.parse(proofs.slice("SEAL_PROOFS=".length)) as { k1: string }).k1;
  const env = {
    GATEWAY_URL: edge.url.href,
    HOST_TOKEN: token,
    SEAL_KEY: sealKey,
    WHATSAPP_URL: simulator.wsUrl,
    HEALTH_PORT: "0",
    LOG_LEVEL: "trace",
  };
  return { env, sealKey };
}

async function ask(path: string, body: object): Promise<unknown> {
  const response = await fetch(new URL(path, simulator.url), {
    method: "POST",
    body: JSON.stringify(body),
    headers: { "content-type": "application/json" },
    signal: AbortSignal.timeout(10_000),
  });
  return response.json();
}

async function pair(device: FakeDevice): Promise<string> {
  await edge.assign(device);
  await device.until(() => device.connected);
  device.command({ kind: "pair", phone: null });
  const { qr } = await device.fact("qr");
  await ask(`/phones/${phone}/scan`, { qr });
  await device.fact("session", ({ state }) => state === "open");
  return qr;
}

test("nothing secret is printed, not even at the most talkative level", async () => {
  const { env, sealKey } = environment();
  start(env);
  const device = edge.addDevice();
  const qr = await pair(device);
  const first = sendCommand(1, contact, "rahasia keluar satu");
  device.command(first);
  await device.fact("ack", ({ waId }) => waId === first.waId);
  await ask(`/phones/${contact}/send`, { to: phone, text: "rahasia masuk dua" });
  await device.until(() => device.inbound.length === 1);
  // A contact that lost its sessions and damaged ciphertexts make libsignal talk.
  await ask(`/phones/${contact}/forget-sessions`, {});
  await ask(`/phones/${contact}/send`, { to: phone, text: "rahasia masuk tiga" });
  await device.until(() => device.inbound.length === 2);
  await ask(`/phones/${contact}/damage-next`, { count: 1 });
  await ask(`/phones/${contact}/send`, { to: phone, text: "rahasia masuk empat" });
  await device.until(() => device.inbound.length === 3);
  expect(output).toContain("session host started");
  for (const row of device.rows.values()) expect(output).not.toContain(row.value ?? "nothing");
  const secrets = [
    "rahasia",
    phone,
    contact,
    token,
    sealKey.slice(3),
    qr,
    ...qr
      .slice(qr.indexOf("#") + 1)
      .split(",")
      .slice(0, 4),
  ];
  for (const secret of secrets) expect(output).not.toContain(secret);
  expect(output).not.toMatch(/privKey|rootKey|SessionEntry|Closing|_chains/);
  for (const line of output.trim().split("\n"))
    expect(() => JSON.parse(line) as unknown).not.toThrow();
});

test("SIGTERM hands over: drains, says goodbye on every device, and ends with 0 within 3 s", async () => {
  const { env } = environment();
  const host = start(env);
  const device = edge.addDevice();
  await pair(device);
  const begun = performance.now();
  host.kill("SIGTERM");
  const [code] = (await once(host, "exit")) as [number | null];
  expect(code).toBe(0);
  expect(performance.now() - begun).toBeLessThan(3_000);
  expect(edge.controlFrames.some(({ t }) => t === "draining")).toBe(true);
  expect(edge.controlFrames.at(-1)).toEqual({ t: "goodbye" });
  expect(device.frames.at(-1)).toEqual({ t: "goodbye" });
  expect(device.facts.at(-1)).toMatchObject({
    kind: "session",
    state: "closed",
    reason: "stopped",
  });
});

test("a host frozen after its key commit finds its lease over and lets no byte out", async () => {
  const { env } = environment();
  const host = start(env);
  const device = edge.addDevice();
  await pair(device);
  const first = sendCommand(1, contact, "sebelum beku");
  device.command(first);
  await device.fact("ack", ({ waId }) => waId === first.waId);
  device.holdCommit = ({ forMessages }) => forMessages.length > 0;
  const frozen = sendCommand(2, contact, "saat beku");
  device.command(frozen);
  await device.until(() =>
    device.frames.some(
      (frame) => frame.t === "keys_commit" && frame.forMessages[0]?.messageId === 2,
    ),
  );
  host.kill("SIGSTOP");
  device.releaseCommits();
  // Only the passing of time ends a lease.
  await new Promise((resolve) => {
    setTimeout(resolve, LEASE_MS + 500);
  });
  host.kill("SIGCONT");
  await device.fact("session", ({ state, code }) => state === "closed" && code === null);
  expect(simulator.network.evidence.report().messagesById[frozen.waId]).toBeUndefined();
  expect(device.factsOf("send_result").some(({ messageId }) => messageId === 2)).toBe(false);
});

test("health and metrics show states and counts", async () => {
  const { env } = environment();
  start(env);
  const device = edge.addDevice();
  await pair(device);
  const port = /"healthPort":(\d+)/.exec(output)?.[1];
  const health: unknown = await (await fetch(`http://127.0.0.1:${port}/healthz`)).json();
  expect(health).toEqual({
    status: "ok",
    control_connected: true,
    sessions: { waiting: 0, connecting: 0, open: 1, closed: 0 },
  });
  const metrics = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
  expect(metrics).toContain('kabar_host_sessions{state="open"}');
  expect(metrics).not.toContain(phone);
});

test("a refused host token is said in one clear line and not hammered", async () => {
  const { env } = environment();
  edge.refuseControl = 401;
  start(env);
  await edge.until(() => output.includes("refuses this host's token"));
  expect(edge.controlUpgrades.length).toBe(1);
});

test("a bad setting ends with 1 and one sentence that does not quote it", async () => {
  const { env, sealKey } = environment();
  const host = start({ ...env, SEAL_KEY: `${sealKey}xx`, WHATSAPP_URL: "ws://example.com/ws" });
  const [code] = (await once(host, "exit")) as [number | null];
  expect(code).toBe(1);
  expect(output.trim().split("\n")).toHaveLength(1);
  expect(output).toContain("SEAL_KEY must be");
  expect(output).toContain("WHATSAPP_URL must be wss://");
  expect(output).not.toContain(sealKey.slice(3));
});
