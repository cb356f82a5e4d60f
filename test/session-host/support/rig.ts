/**
 * A host in this process between a fake edge and the simulated WhatsApp, and the short ways tests take with them.
 */
import { randomBytes, randomUUID } from "node:crypto";
import { silenceConsole, createLog } from "../../../session-host/log.ts";
import { systemClock } from "../../../session-host/clock.ts";
import type { HostConfig } from "../../../session-host/config.ts";
import { Host } from "../../../session-host/host.ts";
import { createMetrics } from "../../../session-host/metrics.ts";
import type { ReconnectOptions } from "../../../session-host/reconnect.ts";
import { baileysWhatsApp } from "../../../session-host/baileys/client.ts";
import { startSimulator } from "../../../session-host/simulator/simulator.ts";
import type { Simulator } from "../../../session-host/simulator/simulator.ts";
import { FakeEdge } from "./fake-edge.ts";
import type { FakeDevice } from "./fake-device.ts";

export const fastReconnect = {
  backoff: { firstMs: 20, capMs: 200, floorMs: 5 },
  attemptsMax: 1_000,
  windowMs: 1_000,
  stableMs: 60_000,
};

export interface Rig {
  edge: FakeEdge;
  simulator: Simulator;
  host: Host;
  /** Asks the simulator's control API. */
  ask(path: string, body?: object): Promise<unknown>;
  pair(device: FakeDevice, phone: string): Promise<void>;
  /** A second host beside the first. */
  anotherHost(): Host;
  close(): Promise<void>;
}

export function newWaId(): string {
  return `3EB0${randomBytes(9).toString("hex").toUpperCase()}`;
}

export function sendCommand(
  messageId: number,
  to: string,
  text: string,
  more: { attempt?: number; waId?: string; sendWithinMs?: number; typingMs?: number } = {},
): {
  kind: "send";
  messageId: number;
  attempt: number;
  waId: string;
  to: string;
  text: string;
  sendWithinMs: number;
  typingMs: number;
} {
  return {
    kind: "send",
    messageId,
    attempt: 1,
    waId: newWaId(),
    to,
    text,
    sendWithinMs: 10_000,
    typingMs: 0,
    ...more,
  };
}

export interface RigOptions {
  connectWatchdogMs?: number;
  commitTimeoutMs?: number;
  reconnect?: ReconnectOptions;
  random?: () => number;
  /** Versions of the bridge that the edge names; null: none. */
  protocols?: string | null;
}

export async function startRig({ protocols, ...more }: RigOptions = {}): Promise<Rig> {
  silenceConsole();
  const edge = await FakeEdge.start();
  if (protocols !== undefined) edge.protocols = protocols;
  const simulator = await startSimulator({ port: 0 });
  const sealKeys = [{ id: "k1", key: randomBytes(32) }];
  const hosts: Host[] = [];
  const makeHost = (): Host => {
    const config: HostConfig = {
      gatewayUrl: edge.url,
      hostToken: "host-token-for-tests",
      sealKeys,
      capacity: 50,
      whatsAppUrl: new URL(simulator.wsUrl),
      whatsAppVersion: null,
      healthPort: 0,
      healthHost: "127.0.0.1",
      logLevel: process.env["TEST_LOG_LEVEL"] ?? "silent",
    };
    const host = new Host({
      config,
      bootId: randomUUID(),
      clock: systemClock,
      random: Math.random,
      log: createLog(config.logLevel),
      metrics: createMetrics(),
      whatsApp: baileysWhatsApp({
        clock: systemClock,
        url: config.whatsAppUrl,
        version: null,
        qrLifeMs: null,
      }),
      reconnect: fastReconnect,
      alerts: { add: () => undefined },
      ...more,
    });
    hosts.push(host);
    return host;
  };
  const ask = async (path: string, body?: object): Promise<unknown> => {
    const response = await fetch(new URL(path, simulator.url), {
      signal: AbortSignal.timeout(10_000),
      ...(body === undefined
        ? {}
        : {
            method: "POST",
            body: JSON.stringify(body),
            headers: { "content-type": "application/json" },
          }),
    });
    const answer: unknown = await response.json();
    if (!response.ok)
      throw new Error(`${path} answered ${response.status} ${JSON.stringify(answer)}`);
    return answer;
  };
  return {
    edge,
    simulator,
    host: makeHost(),
    ask,
    anotherHost: makeHost,
    pair: async (device, phone) => {
      await edge.assign(device);
      await device.until(() => device.connected);
      device.command({ kind: "pair", phone: null });
      const { qr } = await device.fact("qr");
      await ask(`/phones/${phone}/scan`, { qr });
      await device.fact("session", ({ state }) => state === "open");
      await device.fact("drained");
    },
    close: async () => {
      await Promise.all(hosts.map((host) => host.stop()));
      await simulator.close();
      await edge.close();
    },
  };
}
