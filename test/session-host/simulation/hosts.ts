/**
 * The host processes of a run, the product's own code on simulated machines: three places, of which two share a token.
 * A place whose process is killed or ends gets a new one, under a new boot.
 */
import { Host } from "../../../session-host/host.ts";
import { baileysWhatsApp } from "../../../session-host/baileys/client.ts";
import { createLog } from "../../../session-host/log.ts";
import type { HostMetrics } from "../../../session-host/metrics.ts";
import type { SealKey } from "../../../session-host/sealing.ts";
import type { Network } from "./network.ts";
import { Machine, type World } from "./world.ts";

const TOKENS = ["shared", "shared", "own"];
/** A host that was told to end has ended by then. */
const ENDS_WITHIN_MS = 3_500;
const RECONNECT = {
  backoff: { firstMs: 200, capMs: 5_000, floorMs: 50 },
  attemptsMax: 1_000,
  windowMs: 75_000,
  stableMs: 60_000,
};
const log = createLog("silent");

interface Process {
  machine: Machine;
  host: Host | null;
}

export class Hosts {
  /** What hosts ask a person to look at. */
  readonly alerts: string[] = [];
  readonly #world: World;
  readonly #network: Network;
  readonly #sealKeys: SealKey[];
  readonly #processes: Process[] = [];
  #boots = 0;

  constructor(world: World, network: Network, sealKeys: SealKey[]) {
    this.#world = world;
    this.#network = network;
    this.#sealKeys = sealKeys;
  }

  bootAll(): void {
    for (let place = 0; place < TOKENS.length; place += 1) this.#boot(place);
  }

  machine(place: number): Machine {
    return this.#process(place).machine;
  }

  kill(place: number): void {
    const { machine } = this.#process(place);
    this.#network.died(machine);
    machine.isDead = true;
    this.#boot(place);
  }

  /** As SIGTERM does. */
  stop(place: number): void {
    const process = this.#process(place);
    this.#world.schedule(process.machine, 0, () => void process.host?.stop());
    this.#world.schedule(null, ENDS_WITHIN_MS, () => {
      if (this.#processes[place] === process) this.kill(place);
    });
  }

  end(): void {
    for (const { machine } of this.#processes) machine.isDead = true;
  }

  #process(place: number): Process {
    const process = this.#processes[place];
    if (process === undefined) throw new Error("no such host");
    return process;
  }

  #boot(place: number): void {
    this.#boots += 1;
    const machine = new Machine(this.#world, `host ${place} boot ${this.#boots}`);
    const process: Process = { machine, host: null };
    this.#processes[place] = process;
    this.#world.schedule(machine, 10, () => {
      process.host = this.#start(machine, TOKENS[place] ?? "own");
    });
  }

  #start(machine: Machine, hostToken: string): Host {
    const { clock } = machine;
    return new Host({
      config: {
        gatewayUrl: new URL("http://edge.test"),
        hostToken,
        sealKeys: this.#sealKeys,
        capacity: 5,
        whatsAppUrl: null,
        whatsAppVersion: null,
        healthPort: 0,
        healthHost: "127.0.0.1",
        logLevel: "silent",
      },
      bootId: machine.name,
      clock,
      random: this.#world.random,
      log,
      metrics: this.#metrics(),
      whatsApp: baileysWhatsApp({ clock, url: null, version: [2, 1, 1], qrLifeMs: null }),
      reconnect: RECONNECT,
      alerts: { add: () => undefined },
    });
  }

  #metrics(): HostMetrics {
    const nothing = {
      inc: () => undefined,
      set: () => undefined,
      startTimer: () => () => undefined,
    };
    const alerts = { inc: ({ kind }: { kind: string }) => this.alerts.push(kind) };
    return {
      sessions: nothing,
      sends: nothing,
      closes: nothing,
      inbound: nothing,
      commitSeconds: nothing,
      controlConnected: nothing,
      loginsWaiting: nothing,
      loginsStopped: nothing,
      alerts,
    } as unknown as HostMetrics;
  }
}
