/**
 * Which hosts are alive. A process dies when its control socket stays closed past a short grace, falls silent, or
 * is replaced; then its devices are wanted again. Knows nothing of tickets or of the devices themselves.
 */
import { logInfo } from "../domain/log.ts";
import type { FleetAgenda } from "./agenda.ts";
import { CLOSE, type ControlSockets } from "./control-sockets.ts";
import type { HostTable } from "./host-table.ts";
import { CLOSE_GRACE_MS, HOST_SILENT_MS, PROOF_WAIT_MS, RESTART_GRACE_MS } from "./placement.ts";
import type { PlacementTable } from "./placement-table.ts";

export interface HostWatchParts {
  agenda: FleetAgenda;
  hosts: HostTable;
  placements: PlacementTable;
  sockets: ControlSockets;
}

export class HostWatch {
  readonly #parts: HostWatchParts;

  constructor(parts: HostWatchParts) {
    this.#parts = parts;
  }

  /**
   * When this object is constructed. Sockets outlive hibernation but not a restart: if none is left, every host
   * lost its socket through no fault of its own and gets the full time to come back.
   */
  wake(nowMs: number): void {
    const { agenda, hosts, sockets } = this.#parts;
    if (sockets.of().length > 0) return;
    agenda.listenFrom(nowMs);
    for (const host of hosts.all()) {
      if (host.bootId !== null) hosts.setGoneBy(host.hostId, nowMs + RESTART_GRACE_MS);
    }
  }

  /** Answers whether a host was found dead. */
  sweep(nowMs: number): boolean {
    const { agenda, hosts, sockets } = this.#parts;
    const { listeningSinceMs } = agenda;
    let anyDead = false;
    for (const { socket, state } of sockets.of()) {
      if (state.stage !== "accepted") {
        const hadTime = nowMs - Math.max(state.connectedMs, listeningSinceMs) > PROOF_WAIT_MS;
        if (hadTime) sockets.close(socket, CLOSE.silent, "no proof in time");
        continue;
      }
      const seenMs = Math.max(sockets.lastSignMs(socket), listeningSinceMs);
      if (nowMs - seenMs <= HOST_SILENT_MS) continue;
      anyDead = true;
      sockets.close(socket, CLOSE.silent, "no life sign");
      this.bury(state.hostId, state.bootId, "silent", nowMs);
    }
    for (const host of hosts.all()) {
      if (host.bootId === null) continue;
      const isConnected = sockets.accepted(host.hostId, host.bootId) !== null;
      if (isConnected) continue;
      if (host.goneByMs === null) hosts.setGoneBy(host.hostId, nowMs + CLOSE_GRACE_MS);
      else if (host.goneByMs <= nowMs) {
        anyDead = true;
        this.bury(host.hostId, host.bootId, "gone", nowMs);
      }
    }
    return anyDead;
  }

  /** When the first of the accepted processes is dead unless it gives a sign before. */
  nextSilentMs(): number | null {
    const { agenda, sockets } = this.#parts;
    const deaths = sockets
      .of()
      .filter(({ state }) => state.stage === "accepted")
      .map(({ socket }) => Math.max(sockets.lastSignMs(socket), agenda.listeningSinceMs))
      .map((seenMs) => seenMs + HOST_SILENT_MS + 1);
    return deaths.length === 0 ? null : Math.min(...deaths);
  }

  /** An accepted control socket closed. Answers when the process counts as dead, or null if it does not matter. */
  lost(hostId: string, bootId: string, nowMs: number): number | null {
    const { hosts, sockets } = this.#parts;
    if (hosts.find(hostId)?.bootId !== bootId) return null;
    if (sockets.accepted(hostId, bootId) !== null) return null;
    hosts.setGoneBy(hostId, nowMs + CLOSE_GRACE_MS);
    return nowMs + CLOSE_GRACE_MS;
  }

  /** The process is dead or has said goodbye: others take its devices. */
  bury(hostId: string, bootId: string, why: string, nowMs: number): void {
    const { hosts, placements } = this.#parts;
    if (hosts.find(hostId)?.bootId === bootId) hosts.clearBoot(hostId);
    const devices = placements.orphan(hostId, bootId, nowMs);
    logInfo("host process is out", { hostId, bootId, why, devices });
  }

  /** True while this object has anything to watch over. */
  hasWork(): boolean {
    const { hosts, placements, sockets } = this.#parts;
    if (sockets.of().length > 0 || !placements.isEmpty()) return true;
    return hosts.all().some((host) => host.bootId !== null);
  }
}
