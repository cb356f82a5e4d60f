/**
 * Resident memory of a host process with many idle devices. Pairs them all through one host, then measures a fresh
 * host that takes them over. Not a test: `node test/session-host/support/idle-memory.ts [devices]`
 */
import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { newSealKeyLines } from "../../../session-host/seal-proof.ts";
import { FakeEdge } from "./fake-edge.ts";
import type { FakeDevice } from "./fake-device.ts";

const count = Number(process.argv[2] ?? 200);
const root = join(import.meta.dirname, "../../..");
const print = (line: string): boolean => process.stdout.write(`${line}\n`);
const sealKey = newSealKeyLines("k1").split("\n")[0]?.slice("SEAL_KEY=".length) ?? "";

function start(args: string[], env: Record<string, string>): ChildProcess {
  return spawn(process.execPath, args, {
    cwd: root,
    env: { PATH: process.env["PATH"], ...env },
    stdio: ["ignore", "pipe", "inherit"],
  });
}

async function simulatorUrl(child: ChildProcess): Promise<string> {
  if (child.stdout === null) throw new Error("no output");
  for await (const line of createInterface({ input: child.stdout })) {
    const http = /http:\/\/[\d.:]+/.exec(line)?.[0];
    if (http !== undefined) return http;
  }
  throw new Error("the simulator did not start");
}

function residentMb(child: ChildProcess): number {
  const kb = /VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${child.pid}/status`, "utf8"))?.[1];
  return Number(kb) / 1024;
}

const edge = await FakeEdge.start();
const simulator = start(["session-host/simulator/main.ts"], { SIMULATOR_PORT: "0" });
const http = await simulatorUrl(simulator);
const startHost = (): ChildProcess => {
  const child = start(["--max-semi-space-size=4", "session-host/main.ts"], {
    GATEWAY_URL: edge.url.href,
    HOST_TOKEN: "host-token-for-bench",
    SEAL_KEY: sealKey,
    CAPACITY: "500",
    WHATSAPP_URL: `${http.replace("http", "ws")}/ws/chat`,
    HEALTH_PORT: "0",
    LOG_LEVEL: "warn",
  });
  child.stdout?.resume();
  return child;
};

async function pair(device: FakeDevice, index: number): Promise<void> {
  await edge.assign(device);
  await device.until(() => device.connected, 30_000);
  device.command({ kind: "pair", phone: null });
  const { qr } = await device.fact("qr", undefined, 60_000);
  await fetch(`${http}/phones/${62_812_000_001_001 + index}/scan`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ qr }),
  });
  await device.fact("session", ({ state }) => state === "open", 60_000);
}

process.on("exit", () => {
  host.kill("SIGKILL");
  simulator.kill("SIGKILL");
});
const devices = Array.from({ length: count }, () => edge.addDevice());
let host = startHost();
for (let from = 0; from < count; from += 10) {
  await Promise.all(
    devices.slice(from, from + 10).map((device, index) => pair(device, from + index)),
  );
}
print(`${count} paired: ${residentMb(host).toFixed(0)} MB`);
host.kill("SIGTERM");
await edge.until(() => edge.controlFrames.at(-1)?.t === "goodbye", 10_000);
host = startHost();
await edge.accepted();
const emptyMb = residentMb(host);
const begun = performance.now();
for (const device of devices) {
  device.facts.length = 0;
  await edge.assign(device);
}
await Promise.all(
  devices.map((device) => device.fact("session", ({ state }) => state === "open", 60_000)),
);
print(`all logged in after ${((performance.now() - begun) / 1000).toFixed(1)} s`);
await new Promise((resolve) => {
  setTimeout(resolve, 5_000);
});
const fullMb = residentMb(host);
print(
  `fresh host: ${emptyMb.toFixed(0)} MB empty, ${fullMb.toFixed(0)} MB with ${count} idle devices`,
);
print(`${((fullMb - emptyMb) / count).toFixed(2)} MB a device`);
process.exit(0);
