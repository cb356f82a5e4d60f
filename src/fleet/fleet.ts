/**
 * The Fleet object: one for the whole gateway. Knows which session hosts are approved and alive and which device
 * runs on which of them. Composes its parts and routes what reaches it; placing happens in the alarm alone, so a
 * slow device never holds up a caller. Never touches keys, messages or money.
 */
import { DurableObject } from "cloudflare:workers";
import { deviceId as deviceIdShape } from "../bridge/control-frames.ts";
import { HEADER_BOOT, HEADER_HOST_TOKEN } from "../bridge/wire.ts";
import { readConfig } from "../config.ts";
import { deviceClient } from "../device/client.ts";
import { systemClock } from "../domain/clock.ts";
import { systemRandomBytes } from "../domain/id.ts";
import { logInfo } from "../domain/log.ts";
import { err, invariant, ok, type Result } from "../domain/result.ts";
import { FleetAgenda } from "./agenda.ts";
import { AlertDesk } from "./alert-desk.ts";
import { Assigner } from "./assigner.ts";
import { Dismissals } from "./dismissals.ts";
import { ControlDesk } from "./control-desk.ts";
import { CLOSE, ControlSockets } from "./control-sockets.ts";
import { findByTokenHash, tokenHashOf } from "./credentials.ts";
import { HostTable, isLeaving, type HostRecord } from "./host-table.ts";
import { HostWatch } from "./host-watch.ts";
import type { FleetRpc, HostView } from "./interface.ts";
import { LogOuts, type LogOutsView } from "./log-outs.ts";
import { LoginDesk } from "./login-desk.ts";
import { migrate } from "./migrations.ts";
import { judgeAsking, SWEEP_INTERVAL_MS } from "./placement.ts";
import { type Placement, PlacementTable } from "./placement-table.ts";

const BOOT_ID = /^[A-Za-z0-9_-]{8,64}$/;
const TOKEN_LENGTH_MAX = 512;
const HOST_ID = /^[A-Za-z0-9_-]{1,64}$/;
const TOKEN_HASH = /^[0-9a-f]{64}$/;

export class Fleet extends DurableObject<Cloudflare.Env> implements FleetRpc {
  readonly #clock = systemClock;
  readonly #hosts: HostTable;
  readonly #placements: PlacementTable;
  readonly #sockets: ControlSockets;
  readonly #agenda: FleetAgenda;
  readonly #watch: HostWatch;
  readonly #desk: ControlDesk;
  readonly #assigner: Assigner;
  readonly #dismissals: Dismissals;
  readonly #alerts = new AlertDesk();
  readonly #logins: LoginDesk;
  readonly #logOuts: LogOuts;

  constructor(context: DurableObjectState, env: Cloudflare.Env) {
    super(context, env);
    const { storage } = context;
    const nowMs = this.#clock();
    migrate(storage);
    const hosts = new HostTable(storage.sql);
    const placements = new PlacementTable(storage.sql);
    const sockets = new ControlSockets(context);
    const agenda = new FleetAgenda(storage, nowMs);
    const watch = new HostWatch({ agenda, hosts, placements, sockets });
    const logins = new LoginDesk({
      sql: storage.sql,
      hosts,
      placements,
      sockets,
      budget: () => {
        const config = readConfig(env);
        return { perSecond: config.LOGINS_PER_SECOND, atOnce: config.LOGINS_AT_ONCE };
      },
    });
    this.#desk = new ControlDesk({
      hosts,
      placements,
      sockets,
      watch,
      sealProofs: () => readConfig(env).SEAL_PROOFS,
      logins,
      random: systemRandomBytes,
    });
    this.#assigner = new Assigner({
      storage,
      hosts,
      placements,
      sockets,
      mintTicket: (deviceId, request) => deviceClient(env.DEVICES).mintTicket(deviceId, request),
      clock: this.#clock,
      random: systemRandomBytes,
    });
    this.#dismissals = new Dismissals({
      sql: storage.sql,
      dismiss: (deviceId, hostId) => deviceClient(env.DEVICES).dismiss(deviceId, hostId),
      clock: this.#clock,
      random: systemRandomBytes,
    });
    this.#logOuts = new LogOuts(storage.sql);
    this.#hosts = hosts;
    this.#placements = placements;
    this.#sockets = sockets;
    this.#agenda = agenda;
    this.#watch = watch;
    this.#logins = logins;
    watch.wake(nowMs);
    void context.blockConcurrencyWhile(async () => {
      const hasWork = watch.hasWork() || this.#dismissals.nextTryMs() !== null;
      if (hasWork) await agenda.armBy(nowMs + SWEEP_INTERVAL_MS, nowMs);
    });
  }

  async approveHost(host: {
    hostId: string;
    name: string;
    tokenHash: string;
    devicesMax: number;
  }): Promise<Result<null, { reason: "exists" }>> {
    invariant(HOST_ID.test(host.hostId), "a host id is short and plain");
    invariant(TOKEN_HASH.test(host.tokenHash), "a token is kept as SHA-256 in hex");
    invariant(host.devicesMax > 0, "a host may run at least one device");
    const isNew = this.#hosts.approve(host);
    return isNew || this.#hosts.isApprovedAs(host) ? ok(null) : err({ reason: "exists" });
  }

  async revokeHost(hostId: string): Promise<Result<null, { reason: "unknown" }>> {
    const nowMs = this.#clock();
    const host = this.#hosts.find(hostId);
    if (host === null) return err({ reason: "unknown" });
    if (host.bootId !== null) this.#watch.bury(hostId, host.bootId, "revoked", nowMs);
    const devices = this.#dismissals.add(hostId, nowMs);
    this.#hosts.revoke(hostId);
    logInfo("host revoked", { hostId, devices });
    for (const { socket } of this.#sockets.of(hostId)) {
      this.#sockets.close(socket, CLOSE.revoked, "host is not approved");
    }
    await this.#agenda.armBy(nowMs, nowMs);
    return ok(null);
  }

  async hosts(): Promise<HostView[]> {
    return this.#hosts.all().map((host) => this.#view(host));
  }

  async drainHost(
    hostId: string,
    drained: boolean,
  ): Promise<Result<HostView, { reason: "unknown" }>> {
    const nowMs = this.#clock();
    this.#hosts.setDrained(hostId, drained);
    const host = this.#hosts.find(hostId);
    if (host === null) return err({ reason: "unknown" });
    if (host.bootId !== null) {
      if (drained) this.#placements.drain(hostId, host.bootId, nowMs);
      else if (!isLeaving(host)) this.#placements.stay(hostId, host.bootId);
    }
    logInfo("host drained by the operator", { hostId, drained });
    await this.#agenda.armBy(nowMs, nowMs);
    return ok(this.#view(host));
  }

  async allowClient(version: string): Promise<Result<null, { reason: "unknown" }>> {
    const nowMs = this.#clock();
    const wasRefused = await this.#logins.allow(version);
    if (!wasRefused) return err({ reason: "unknown" });
    await this.#agenda.armBy(nowMs, nowMs);
    return ok(null);
  }

  async want(deviceId: string): Promise<void> {
    invariant(deviceIdShape.safeParse(deviceId).success, "a device id is 32 hex digits");
    const nowMs = this.#clock();
    const placement = this.#placements.find(deviceId);
    if (placement === null) this.#placements.want(deviceId, nowMs);
    else if (placement.state === "assigned") await this.#askedAgain(placement, nowMs);
    await this.#agenda.armBy(nowMs, nowMs);
  }

  async release(deviceId: string, why?: "logged_out"): Promise<void> {
    const nowMs = this.#clock();
    const placement = this.#placements.find(deviceId);
    if (why === "logged_out") this.#logOuts.add(deviceId, placement?.hostId ?? null, nowMs);
    if (placement === null) return;
    this.#placements.remove(deviceId);
    await this.#withdraw(placement);
    // The room it leaves may be what another one waits for.
    await this.#agenda.armBy(nowMs, nowMs);
  }

  async mayDropKeys(): Promise<boolean> {
    return this.#logOuts.heldSinceMs === null;
  }

  async logOuts(): Promise<LogOutsView> {
    return this.#logOuts.view();
  }

  async releaseLogOuts(): Promise<void> {
    this.#logOuts.release();
  }

  /** The control socket of a host, or its alerts: the route is checked before, the token here. */
  override async fetch(request: Request): Promise<Response> {
    const isSocket = request.headers.get("upgrade")?.toLowerCase() === "websocket";
    if (!isSocket && request.method !== "POST") {
      return new Response("This address is for WebSockets.\n", { status: 426 });
    }
    const token = /^Bearer (\S+)$/i.exec(request.headers.get(HEADER_HOST_TOKEN) ?? "")?.[1];
    if (token === undefined || token.length > TOKEN_LENGTH_MAX) return unknownToken();
    const tokenHash = await tokenHashOf(token);
    const host = findByTokenHash(this.#hosts.all(), tokenHash);
    if (host === null) return unknownToken();
    if (!isSocket) return this.#alerts.take(host.hostId, request, this.#clock());
    const bootId = request.headers.get(HEADER_BOOT) ?? "";
    if (!BOOT_ID.test(bootId)) {
      return new Response("The boot id is missing or malformed.\n", { status: 400 });
    }
    const nowMs = this.#clock();
    const response = this.#sockets.admit(host.hostId, bootId, nowMs);
    await this.#agenda.armBy(nowMs + SWEEP_INTERVAL_MS, nowMs);
    return response;
  }

  override async webSocketMessage(socket: WebSocket, message: string | ArrayBuffer): Promise<void> {
    const nowMs = this.#clock();
    const dueMs = await this.#desk.hear(socket, message, nowMs);
    if (dueMs !== null) await this.#agenda.armBy(dueMs, nowMs);
  }

  override async webSocketClose(socket: WebSocket): Promise<void> {
    await this.#closed(socket);
  }

  override async webSocketError(socket: WebSocket): Promise<void> {
    await this.#closed(socket);
  }

  override async alarm(): Promise<void> {
    const nowMs = this.#clock();
    await this.#agenda.begin(nowMs);
    if (this.#watch.sweep(nowMs)) await this.#logins.tellAll();
    await this.#dismissals.run();
    const againMs = await this.#assigner.run();
    await this.#agenda.finish(this.#nextDueMs(againMs));
  }

  #view(host: HostRecord): HostView {
    const { hostId, name, devicesMax, draining, drained, bootId } = host;
    const { clientRefused, clientVersion, protocol } = host;
    const connected = bootId !== null && this.#sockets.accepted(hostId, bootId) !== null;
    const devices = bootId === null ? 0 : this.#placements.load(hostId, bootId, 0).devices;
    const states = { connected, draining, drained, clientRefused };
    return { hostId, name, devicesMax, ...states, clientVersion, protocol, devices };
  }

  #nextDueMs(againMs: number | null): number | null {
    const dismissMs = this.#dismissals.nextTryMs();
    if (!this.#watch.hasWork()) return dismissMs;
    const nowMs = this.#clock();
    const dues = [
      nowMs + SWEEP_INTERVAL_MS,
      againMs,
      dismissMs,
      this.#hosts.nextGoneByMs(),
      this.#watch.nextSilentMs(),
      this.#placements.nextTryMs(nowMs),
    ];
    return Math.min(...dues.filter((dueMs) => dueMs !== null));
  }

  /** It is placed, yet says that it has no bridge. */
  async #askedAgain(placement: Placement, nowMs: number): Promise<void> {
    const { deviceId, hostId, bootId } = placement;
    const { verdict, sinceMs } = judgeAsking(placement, nowMs);
    this.#placements.noteAsking(deviceId, sinceMs, nowMs);
    const isConnected =
      hostId !== null && bootId !== null && this.#sockets.accepted(hostId, bootId) !== null;
    // A host that is out of reach is the watch's business: it comes back in its grace or is dead.
    if (!isConnected || verdict === "stay") return;
    this.#placements.wantAnew(deviceId, hostId, nowMs);
    await this.#withdraw(placement);
  }

  async #withdraw(placement: Placement): Promise<void> {
    const { deviceId, placementId, hostId, bootId, state } = placement;
    if (state !== "assigned" || hostId === null || bootId === null) return;
    const control = this.#sockets.accepted(hostId, bootId);
    if (control === null) return;
    await this.#sockets.send(control.socket, { t: "withdraw", deviceId, placementId });
  }

  async #closed(socket: WebSocket): Promise<void> {
    const nowMs = this.#clock();
    const { stage, hostId, bootId } = this.#sockets.read(socket);
    // Answered even when the close was ours: the peer waits for it.
    this.#sockets.close(socket, 1000, "closed");
    if (stage !== "accepted") return;
    await this.#logins.tellAll();
    const deadMs = this.#watch.lost(hostId, bootId, nowMs);
    if (deadMs !== null) await this.#agenda.armBy(deadMs, nowMs);
  }
}

function unknownToken(): Response {
  return new Response("This host is not approved.\n", { status: 401 });
}
