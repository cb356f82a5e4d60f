/**
 * The control socket to the Fleet: proves the seal key, reports what runs, takes assignments. Its loss costs
 * placement, not service, so it reconnects for ever; a refused token is retried at most once a minute, with one
 * clear sentence in the log. Knows nothing of sessions beyond the report it is given.
 */
import { fleetFrame, REPORT_INTERVAL_MS } from "../src/bridge/control-frames.ts";
import type { FleetFrame, HostControlFrame } from "../src/bridge/control-frames.ts";
import { knowsLoginOrders } from "../src/bridge/versions.ts";
import { HEADER_BOOT, HEADER_HOST_TOKEN } from "../src/bridge/wire.ts";
import { unreachable } from "../src/domain/result.ts";
import { backoffMs } from "./backoff.ts";
import { pause } from "./clock.ts";
import type { Clock } from "./clock.ts";
import { LeasedSocket } from "./leased-socket.ts";
import type { SocketEnd } from "./leased-socket.ts";
import type { Log } from "./log.ts";
import type { SealKey } from "./sealing.ts";
import { signSealProof } from "./seal-proof.ts";

const RECONNECT = { firstMs: 500, capMs: 15_000, floorMs: 100 };
const REFUSED_RETRY_MS = 60_000;
/** Connected but not accepted, or without a pong, for this long: start again. */
const SILENCE_MAX_MS = 15_000;

export type Running = Extract<HostControlFrame, { t: "report" }>["running"];
export type LoginOrders = Omit<Extract<FleetFrame, { t: "logins" }>, "t">;

export interface ControlOptions {
  url: URL;
  hostToken: string;
  bootId: string;
  capacity: number;
  sealKey: SealKey;
  clientVersion: string;
  clock: Clock;
  random: () => number;
  log: Log;
  running: () => Running;
  onAssign(assignment: {
    deviceId: string;
    placementId: number;
    ticket: string;
    hostId: string;
  }): void;
  onWithdraw(deviceId: string, placementId: number): void;
  onLogins(orders: LoginOrders): void;
}

export class ControlClient {
  readonly #options: ControlOptions;
  readonly #stop = new AbortController();
  #socket: LeasedSocket | null = null;
  #previous: LeasedSocket | null = null;
  #hostId: string | null = null;
  #accepted = false;
  #openedMs = 0;
  #attempt = 0;
  #beat: NodeJS.Timeout;
  /** The Fleet has yet to hear that WhatsApp refuses our version, and to order a stop. */
  #refusalUnheard = false;

  constructor(options: ControlOptions) {
    this.#options = options;
    this.#beat = setInterval(() => this.#onBeat(), REPORT_INTERVAL_MS);
    this.#dial();
  }

  get accepted(): boolean {
    return this.#accepted;
  }

  leaseHolds(): boolean {
    return (this.#socket?.leaseHolds() ?? false) || (this.#previous?.leaseHolds() ?? false);
  }

  /** After each change; also on a beat. */
  report(): void {
    if (this.#accepted) this.#send({ t: "report", running: this.#options.running() });
  }

  /** Told again after every reconnect, until the Fleet orders the stop that follows from it. */
  clientRefused(): void {
    this.#refusalUnheard = true;
    this.#tellRefusal();
  }

  draining(): void {
    if (this.#accepted) this.#send({ t: "draining" });
  }

  async goodbye(): Promise<void> {
    if (this.#accepted) this.#send({ t: "goodbye" });
    this.#stop.abort();
    clearInterval(this.#beat);
    await this.#socket?.close();
  }

  #dial(): void {
    const { url, hostToken, bootId, clock } = this.#options;
    this.#accepted = false;
    const headers = { [HEADER_HOST_TOKEN]: `Bearer ${hostToken}`, [HEADER_BOOT]: bootId };
    this.#socket = new LeasedSocket(url, headers, clock, {
      onOpen: () => {
        this.#openedMs = clock.monotonicMs();
        this.#send({
          t: "hello",
          protocol: this.#socket?.protocol ?? 1,
          capacity: this.#options.capacity,
          sealKeyId: this.#options.sealKey.id,
          clientVersion: this.#options.clientVersion,
        });
      },
      onText: (text) => this.#onText(text),
      onEnd: (end) => void this.#onSocketEnd(end),
    });
  }

  async #onSocketEnd(end: SocketEnd): Promise<void> {
    if (this.#stop.signal.aborted) return;
    const { log, random } = this.#options;
    if (this.#accepted) log.warn("control socket lost");
    this.#accepted = false;
    // A redial that came to nothing must not end the lease of the socket before it.
    if (this.#socket?.leaseHolds() === true) this.#previous = this.#socket;
    this.#socket = null;
    let waitMs = backoffMs(this.#attempt, RECONNECT, random());
    this.#attempt += 1;
    if (end.kind === "refused") {
      log.error({ status: end.status }, describeRefusal(end.status));
      if (end.status === 401 || end.status === 403) waitMs = REFUSED_RETRY_MS;
    }
    if (end.kind === "no_common_version") {
      log.error(
        "the gateway and this host speak no common version of the bridge: update the older",
      );
      waitMs = REFUSED_RETRY_MS;
    }
    await pause(waitMs, this.#stop.signal);
    if (!this.#stop.signal.aborted) this.#dial();
  }

  #onText(text: string): void {
    const frame = parseFleetFrame(text);
    if (frame === null) {
      this.#options.log.warn("frame of the fleet not understood");
      return;
    }
    this.#onFrame(frame);
  }

  #onFrame(frame: FleetFrame): void {
    switch (frame.t) {
      case "challenge":
        this.#send({
          t: "proof",
          signature: signSealProof(this.#options.sealKey, this.#options.bootId, frame.nonce),
        });
        return;
      case "accepted":
        this.#accepted = true;
        this.#attempt = 0;
        this.#hostId = frame.hostId;
        this.#options.log.info(
          { hostId: frame.hostId, protocol: frame.protocol },
          "accepted by the fleet",
        );
        this.report();
        this.#tellRefusal();
        return;
      case "logins":
        // Sent before the Fleet knew of the refusal: our own stop holds.
        if (this.#refusalUnheard && !frame.stopped) return;
        this.#refusalUnheard = false;
        this.#options.onLogins(frame);
        return;
      case "assign":
        if (this.#hostId === null) return;
        this.#options.onAssign({
          deviceId: frame.deviceId,
          placementId: frame.placementId,
          ticket: frame.ticket,
          hostId: this.#hostId,
        });
        return;
      case "withdraw":
        this.#options.onWithdraw(frame.deviceId, frame.placementId);
        return;
      default:
        unreachable(frame);
    }
  }

  #tellRefusal(): void {
    if (!this.#refusalUnheard || !this.#accepted || this.#socket === null) return;
    if (!knowsLoginOrders(this.#socket.protocol)) return;
    this.#send({ t: "client_refused" });
  }

  #onBeat(): void {
    this.report();
    const socket = this.#socket;
    if (socket === null || !socket.open) return;
    const openForMs = this.#options.clock.monotonicMs() - this.#openedMs;
    if (openForMs > SILENCE_MAX_MS && (!this.#accepted || !socket.leaseHolds())) socket.drop();
  }

  #send(frame: HostControlFrame): void {
    this.#socket?.send(frame);
  }
}

function describeRefusal(status: number): string {
  if (status === 401 || status === 403) {
    return "the gateway refuses this host's token: approve the host again and set HOST_TOKEN; next try in a minute";
  }
  return "the gateway refuses the control socket";
}

function parseFleetFrame(text: string): FleetFrame | null {
  try {
    const parsed = fleetFrame.safeParse(JSON.parse(text));
    return parsed.success ? parsed.data : null;
  } catch {
    // Not JSON: reported by the caller.
    return null;
  }
}
