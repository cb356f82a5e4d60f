/**
 * The host: runs one session per assigned device, tells the fleet what runs, drives the common beat and the orderly
 * end. Keeps nothing on disk; which devices it runs is the fleet's decision alone.
 */
import { bridgeUrl } from "./config.ts";
import type { HostConfig } from "./config.ts";
import { pause } from "./clock.ts";
import type { Clock } from "./clock.ts";
import type { AlertPost } from "./alert-post.ts";
import { ControlClient } from "./control-client.ts";
import type { LoginOrders, Running } from "./control-client.ts";
import type { Log } from "./log.ts";
import { LoginWaves } from "./login-waves.ts";
import type { HostMetrics } from "./metrics.ts";
import { reconnectDefaults } from "./reconnect.ts";
import type { ReconnectOptions } from "./reconnect.ts";
import { DeviceSession } from "./session.ts";
import type { WhatsApp } from "./whatsapp.ts";

const BEAT_MS = 250;
/** The runtime kills a container that takes longer to end. */
const STOP_WAIT_MS = 2_600;

export interface HostOptions {
  config: HostConfig;
  bootId: string;
  clock: Clock;
  random: () => number;
  log: Log;
  metrics: HostMetrics;
  whatsApp: WhatsApp;
  alerts: Pick<AlertPost, "add">;
  reconnect?: ReconnectOptions;
  connectWatchdogMs?: number;
  commitTimeoutMs?: number;
}

interface Placed {
  placementId: number;
  session: DeviceSession;
}

export class Host {
  readonly #options: HostOptions;
  readonly #control: ControlClient;
  readonly #waves: LoginWaves;
  readonly #placed = new Map<string, Placed>();
  readonly #beat: NodeJS.Timeout;
  #stopping = false;

  constructor(options: HostOptions) {
    this.#options = options;
    this.#waves = new LoginWaves(options.clock);
    const { config } = options;
    const sealKey = config.sealKeys[0];
    if (sealKey === undefined) throw new Error("invariant broken: no seal key");
    this.#control = new ControlClient({
      url: bridgeUrl(config.gatewayUrl, "/bridge/control"),
      hostToken: config.hostToken,
      bootId: options.bootId,
      capacity: config.capacity,
      sealKey,
      clientVersion: options.whatsApp.version,
      clock: options.clock,
      random: options.random,
      log: options.log,
      running: () => this.#running(),
      onAssign: (assignment) => this.#assign(assignment),
      onWithdraw: (deviceId, placementId) => this.#withdraw(deviceId, placementId),
      onLogins: (orders) => this.#onLogins(orders),
    });
    this.#beat = setInterval(() => this.#onBeat(), BEAT_MS);
  }

  get controlConnected(): boolean {
    return this.#control.accepted;
  }

  /** How many sessions are in each state. */
  states(): Map<string, number> {
    const counts = new Map([
      ["waiting", 0],
      ["connecting", 0],
      ["open", 0],
      ["closed", 0],
    ]);
    for (const { session } of this.#placed.values()) {
      counts.set(session.state, (counts.get(session.state) ?? 0) + 1);
    }
    return counts;
  }

  /** Hands all devices over: no new work, keys acknowledged, goodbye. Ends within a fixed time. */
  async stop(): Promise<void> {
    if (this.#stopping) return;
    this.#stopping = true;
    this.#control.draining();
    const sessions = [...this.#placed.values()].map(({ session }) => session.stop());
    await Promise.race([Promise.all(sessions), pause(STOP_WAIT_MS)]);
    clearInterval(this.#beat);
    await this.#control.goodbye();
  }

  #assign(assignment: {
    deviceId: string;
    placementId: number;
    ticket: string;
    hostId: string;
  }): void {
    const { deviceId, placementId, ticket, hostId } = assignment;
    const { config, bootId, clock, random, log, metrics, whatsApp, alerts } = this.#options;
    const running = this.#placed.get(deviceId);
    if (this.#stopping || (running !== undefined && running.placementId >= placementId)) return;
    if (running === undefined && this.#placed.size >= config.capacity) {
      log.warn({ deviceId }, "assignment beyond capacity ignored");
      return;
    }
    if (running !== undefined) void running.session.stop();
    const session = new DeviceSession({
      deviceId,
      url: bridgeUrl(config.gatewayUrl, `/bridge/devices/${deviceId}`),
      hostToken: config.hostToken,
      hostId,
      bootId,
      ticket,
      sealKeys: config.sealKeys,
      clock,
      random,
      log: log.child({ deviceId }),
      metrics,
      whatsApp,
      waves: this.#waves,
      raiseAlert: (kind) => alerts.add(kind, deviceId),
      reconnect: this.#options.reconnect ?? reconnectDefaults,
      ...(this.#options.connectWatchdogMs === undefined
        ? {}
        : { connectWatchdogMs: this.#options.connectWatchdogMs }),
      ...(this.#options.commitTimeoutMs === undefined
        ? {}
        : { commitTimeoutMs: this.#options.commitTimeoutMs }),
      controlLeaseHolds: () => this.#control.leaseHolds(),
      onClientRefused: () => this.#onClientRefused(),
      onEpoch: () => this.#control.report(),
      onEnd: () => {
        // A newer placement of the same device may have taken the entry.
        if (this.#placed.get(deviceId)?.session !== session) return;
        this.#placed.delete(deviceId);
        this.#control.report();
      },
    });
    this.#placed.set(deviceId, { placementId, session });
    this.#control.report();
  }

  #withdraw(deviceId: string, placementId: number): void {
    const running = this.#placed.get(deviceId);
    if (running !== undefined && running.placementId <= placementId) void running.session.stop();
  }

  #onLogins({ atOnce, perSecond, stopped }: LoginOrders): void {
    if (stopped) this.#waves.stop();
    this.#waves.limit({ atOnce, perSecond });
    if (!stopped) this.#waves.resume();
  }

  /** Nobody else here tries a version that WhatsApp refuses; the Fleet stops the other hosts that run it. */
  #onClientRefused(): void {
    if (this.#waves.stopped) return;
    this.#waves.stop();
    this.#options.log.error("WhatsApp refuses this client version: no more logins from this host");
    this.#control.clientRefused();
  }

  #running(): Running {
    return [...this.#placed].map(([deviceId, { placementId, session }]) => ({
      deviceId,
      placementId,
      epoch: session.epoch,
    }));
  }

  #onBeat(): void {
    for (const { session } of this.#placed.values()) session.watch();
    const { metrics } = this.#options;
    for (const [state, count] of this.states()) metrics.sessions.set({ state }, count);
    metrics.controlConnected.set(this.#control.accepted ? 1 : 0);
    metrics.loginsWaiting.set(this.#waves.waiting);
    metrics.loginsStopped.set(this.#waves.stopped ? 1 : 0);
  }
}
