/**
 * Messages a second through the host beside bare Baileys, on one simulator in a process of its own. Not a test:
 * numbers depend on the machine. `node test/session-host/support/throughput.ts [messages] [devices]`
 */
import { spawn } from "node:child_process";
import { randomBytes, randomUUID } from "node:crypto";
import { createInterface } from "node:readline";
import {
  Browsers,
  DEFAULT_CONNECTION_CONFIG,
  initAuthCreds,
  makeWASocket,
} from "@whiskeysockets/baileys";
import type { SignalDataSet, SignalKeyStore, WASocket } from "@whiskeysockets/baileys";
import { baileysWhatsApp } from "../../../session-host/baileys/client.ts";
import { quietLogger } from "../../../session-host/baileys/quiet-logger.ts";
import { systemClock } from "../../../session-host/clock.ts";
import { Host } from "../../../session-host/host.ts";
import { createLog, silenceConsole } from "../../../session-host/log.ts";
import { createMetrics } from "../../../session-host/metrics.ts";
import { FakeEdge } from "./fake-edge.ts";
import type { FakeDevice } from "./fake-device.ts";
import { fastReconnect, newWaId, sendCommand } from "./rig.ts";

/** A round; the queue of a device is bounded. */
const messages = Number(process.argv[2] ?? 150);
const devices = Number(process.argv[3] ?? 1);
const print = (line: string): boolean => process.stdout.write(`${line}\n`);

async function simulator(): Promise<{ http: string; ws: string; stop: () => void }> {
  const child = spawn(process.execPath, ["session-host/simulator/main.ts"], {
    env: { ...process.env, SIMULATOR_PORT: "0", PORT: "0" },
    stdio: ["ignore", "pipe", "inherit"],
  });
  for await (const line of createInterface({ input: child.stdout })) {
    const http = /http:\/\/[\d.:]+/.exec(line)?.[0];
    if (http !== undefined) {
      return {
        http,
        ws: `${http.replace("http", "ws")}/ws/chat`,
        stop: () => child.kill("SIGKILL"),
      };
    }
  }
  throw new Error("the simulator did not start");
}

function memoryKeys(): SignalKeyStore {
  const rows = new Map<string, unknown>();
  return {
    get: (type, ids) => {
      const found: Record<string, never> = {};
      for (const id of ids)
        if (rows.has(`${type}|${id}`)) found[id] = rows.get(`${type}|${id}`) as never;
      return found;
    },
    set: (data: SignalDataSet) => {
      for (const [type, entries] of Object.entries(data)) {
        for (const [id, value] of Object.entries(entries)) rows.set(`${type}|${id}`, value);
      }
    },
  };
}

async function scan(http: string, phone: string, qr: string): Promise<void> {
  await fetch(`${http}/phones/${phone}/scan`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ qr }),
  });
}

/** The same options as the host uses, and nothing in between. */
async function bareSocket(http: string, ws: string, phone: string): Promise<WASocket> {
  const auth = { creds: initAuthCreds(), keys: memoryKeys() };
  const open = (): WASocket =>
    makeWASocket({
      ...DEFAULT_CONNECTION_CONFIG,
      auth,
      waWebSocketUrl: ws,
      logger: quietLogger,
      browser: Browsers.ubuntu("Chrome"),
      emitOwnEvents: false,
      syncFullHistory: false,
      markOnlineOnConnect: false,
      shouldSyncHistoryMessage: ({ syncType }) => syncType === 0,
    });
  return new Promise((resolve) => {
    const start = (): void => {
      const socket = open();
      socket.ev.on("connection.update", ({ qr, connection, receivedPendingNotifications }) => {
        if (qr !== undefined) void scan(http, phone, qr);
        if (connection === "close") start();
        if (receivedPendingNotifications) resolve(socket);
      });
    };
    start();
  });
}

type Round = (count: number) => Promise<void>;

async function bareRounds(http: string, ws: string): Promise<Round> {
  const sockets = await Promise.all(
    Array.from({ length: devices }, (_, index) => bareSocket(http, ws, `62811000${1000 + index}`)),
  );
  let acks = 0;
  let goal = Promise.withResolvers<void>();
  let wanted = 0;
  for (const socket of sockets) {
    socket.ws.on("CB:ack,class:message", () => {
      acks += 1;
      if (acks === wanted) goal.resolve();
    });
  }
  return async (count) => {
    wanted += count * devices;
    goal = Promise.withResolvers();
    for (const socket of sockets) {
      for (let message = 0; message < count; message += 1) {
        void socket.sendMessage(
          "6281299990001@s.whatsapp.net",
          { text: `pesan ${message}` },
          { messageId: newWaId() },
        );
      }
    }
    await goal.promise;
  };
}

async function hostRounds(http: string, ws: string): Promise<Round> {
  const edge = await FakeEdge.start();
  const log = createLog("warn");
  const whatsApp = baileysWhatsApp({
    clock: systemClock,
    url: new URL(ws),
    version: null,
    qrLifeMs: null,
  });
  const host = new Host({
    config: {
      gatewayUrl: edge.url,
      hostToken: "host-token-for-bench",
      sealKeys: [{ id: "k1", key: randomBytes(32) }],
      capacity: 500,
      whatsAppUrl: new URL(ws),
      whatsAppVersion: null,
      healthPort: 0,
      healthHost: "127.0.0.1",
      logLevel: "warn",
    },
    bootId: randomUUID(),
    clock: systemClock,
    random: Math.random,
    log,
    metrics: createMetrics(),
    whatsApp,
    reconnect: fastReconnect,
    alerts: { add: () => undefined },
  });
  print(`host with baileys ${whatsApp.version}, control connected: ${host.controlConnected}`);
  const all: FakeDevice[] = [];
  for (let index = 0; index < devices; index += 1) {
    const device = edge.addDevice();
    all.push(device);
    await edge.assign(device);
    await device.until(() => device.connected);
    device.command({ kind: "pair", phone: null });
    await scan(http, `62812000${1000 + index}`, (await device.fact("qr")).qr);
    await device.fact("drained");
    print(`device ${index + 1} paired`);
  }
  return async (count) => {
    const goals = all.map((device) => (device.counts.get("ack") ?? 0) + count);
    for (let message = 0; message < count; message += 1) {
      for (const device of all) {
        device.command(
          sendCommand(message, "6281299990002", `pesan ${message}`, { sendWithinMs: 600_000 }),
        );
      }
    }
    await Promise.all(
      all.map((device, index) =>
        device.until(() => (device.counts.get("ack") ?? 0) >= (goals[index] ?? 0), 120_000),
      ),
    );
  };
}

interface Measured {
  perSecond: number;
  cpuMs: number;
}

async function measure(round: Round, count: number): Promise<Measured> {
  const cpu = process.cpuUsage();
  const start = performance.now();
  await round(count);
  const { user, system } = process.cpuUsage(cpu);
  const total = count * devices;
  return {
    perSecond: (total * 1000) / (performance.now() - start),
    cpuMs: (user + system) / 1000 / total,
  };
}

function median(values: number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;
}

silenceConsole();
const world = await simulator();
// Read receipts come a second later, in the middle of the other side's round.
await fetch(`${world.http}/behaviour`, {
  method: "POST",
  headers: { "content-type": "application/json" },
  body: JSON.stringify({ read: "hold" }),
});
const rounds = {
  bare: await bareRounds(world.http, world.ws),
  host: await hostRounds(world.http, world.ws),
};
const results: Record<keyof typeof rounds, Measured[]> = { bare: [], host: [] };
await rounds.bare(20);
await rounds.host(20);
// Alternating, because the machine is shared.
for (let index = 0; index < 7; index += 1) {
  if (process.env["HOST_ONLY"] === undefined)
    results.bare.push(await measure(rounds.bare, messages));
  // As main.ts does.
  Error.stackTraceLimit = 0;
  results.host.push(await measure(rounds.host, messages));
  Error.stackTraceLimit = 10;
}
const speed = (of: Measured[]): number => median(of.map(({ perSecond }) => perSecond));
const cpu = (of: Measured[]): number => median(of.map(({ cpuMs }) => cpuMs));
print(
  `bare Baileys:     ${speed(results.bare).toFixed(0)} messages/s, ${cpu(results.bare).toFixed(2)} ms CPU each`,
);
print(
  `through the host: ${speed(results.host).toFixed(0)} messages/s, ${cpu(results.host).toFixed(2)} ms CPU each, the fake edge included`,
);
print(`ratio: ${(speed(results.host) / speed(results.bare)).toFixed(2)}`);
world.stop();
process.exit(0);
