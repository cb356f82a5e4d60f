/**
 * What a host says on its control socket and what follows: hello, proof of the seal key, reports, draining,
 * goodbye. Frames that make no sense are counted and end the socket; nothing is heard before the proof but the
 * steps towards it. Refuses to place anything: it only writes what the next round of the assigner reads.
 */
import { z } from "zod";
import { hostControlFrame, type HostControlFrame } from "../bridge/control-frames.ts";
import { PROTOCOL_VERSIONS_ACCEPTED } from "../bridge/versions.ts";
import { exceedsFrame, FRAME_BYTES_MAX } from "../bridge/wire.ts";
import type { RandomBytes } from "../domain/id.ts";
import { logAlert, logWarning } from "../domain/log.ts";
import { unreachable } from "../domain/result.ts";
import { CLOSE, type ControlSockets, type SocketState } from "./control-sockets.ts";
import { challengeFrom, isSealProof } from "./credentials.ts";
import { isLeaving, type HostTable } from "./host-table.ts";
import type { HostWatch } from "./host-watch.ts";
import type { LoginDesk } from "./login-desk.ts";
import { compareReport, FIRST_REPORT_WAIT_MS, MISSING_GRACE_MS } from "./placement.ts";
import type { PlacementTable } from "./placement-table.ts";

const BAD_FRAMES_MAX = 10;
const NONCE_BYTES = 32;

const json = z.string().transform((text, context): unknown => {
  try {
    return JSON.parse(text);
  } catch {
    context.addIssue({ code: "custom", message: "not JSON" });
    return z.NEVER;
  }
});
const incoming = json.pipe(hostControlFrame);

export interface ControlDeskParts {
  hosts: HostTable;
  placements: PlacementTable;
  sockets: ControlSockets;
  watch: HostWatch;
  /** Public keys by seal key id. */
  sealProofs: () => Readonly<Record<string, string>>;
  logins: LoginDesk;
  random: RandomBytes;
}

export class ControlDesk {
  readonly #parts: ControlDeskParts;

  constructor(parts: ControlDeskParts) {
    this.#parts = parts;
  }

  /** Takes one frame. Answers when the Fleet must act on what it changed, or null. */
  async hear(
    socket: WebSocket,
    message: string | ArrayBuffer,
    nowMs: number,
  ): Promise<number | null> {
    const { sockets } = this.#parts;
    if (sockets.read(socket).stage === "over") return null;
    const isTooLarge =
      typeof message === "string" ? exceedsFrame(message) : message.byteLength > FRAME_BYTES_MAX;
    if (isTooLarge) {
      sockets.close(socket, CLOSE.frameTooLarge, "frame too large");
      return null;
    }
    const frame = incoming.safeParse(message);
    if (!frame.success) {
      this.#countBad(socket);
      return null;
    }
    const state = sockets.write(socket, { seenMs: nowMs });
    return this.#act(socket, state, frame.data, nowMs);
  }

  async #act(
    socket: WebSocket,
    state: SocketState,
    frame: HostControlFrame,
    nowMs: number,
  ): Promise<number | null> {
    switch (frame.t) {
      case "hello":
        return this.#hello(socket, state, frame);
      case "proof":
        return this.#proof(socket, state, frame.signature, nowMs);
      case "report":
        return state.stage === "accepted"
          ? this.#report(socket, state, frame.running, nowMs)
          : this.#countBad(socket);
      case "client_refused":
        return state.stage === "accepted"
          ? this.#clientRefused(state, nowMs)
          : this.#countBad(socket);
      case "draining":
        return state.stage === "accepted" ? this.#drain(state, nowMs) : this.#countBad(socket);
      case "goodbye":
        if (state.stage !== "accepted") return this.#countBad(socket);
        this.#parts.sockets.close(socket, 1000, "goodbye");
        this.#parts.watch.bury(state.hostId, state.bootId, "goodbye", nowMs);
        await this.#parts.logins.tellAll();
        return nowMs;
      default:
        return unreachable(frame);
    }
  }

  async #hello(
    socket: WebSocket,
    state: SocketState,
    hello: Extract<HostControlFrame, { t: "hello" }>,
  ): Promise<null> {
    const { random, sealProofs, sockets } = this.#parts;
    if (state.stage !== "new") return this.#countBad(socket);
    if (!PROTOCOL_VERSIONS_ACCEPTED.includes(hello.protocol)) {
      sockets.close(socket, CLOSE.protocol, "protocol version not accepted");
      return null;
    }
    if (!Object.hasOwn(sealProofs(), hello.sealKeyId)) return this.#distrust(socket, state);
    const nonce = challengeFrom(random(NONCE_BYTES));
    const { protocol, capacity, sealKeyId, clientVersion } = hello;
    sockets.write(socket, {
      stage: "challenged",
      nonce,
      hello: { protocol, capacity, sealKeyId, clientVersion },
    });
    await sockets.send(socket, { t: "challenge", nonce });
    return null;
  }

  async #proof(
    socket: WebSocket,
    state: SocketState,
    signature: string,
    nowMs: number,
  ): Promise<number | null> {
    const { hosts, sealProofs, sockets } = this.#parts;
    const { hello, nonce, bootId, hostId } = state;
    if (state.stage !== "challenged" || hello === null) return this.#countBad(socket);
    sockets.write(socket, { stage: "proving", nonce: "" });
    const publicKey = sealProofs()[hello.sealKeyId];
    const isProved =
      publicKey !== undefined && (await isSealProof(publicKey, { bootId, nonce }, signature));
    // The host may have been revoked, or this socket closed, while the signature was checked.
    if (sockets.read(socket).stage !== "proving") return null;
    if (!isProved) return this.#distrust(socket, state);
    const host = hosts.find(hostId);
    if (host === null) {
      sockets.close(socket, CLOSE.revoked, "host is not approved");
      return null;
    }
    const rival =
      host.bootId !== null && host.bootId !== bootId ? sockets.accepted(hostId, host.bootId) : null;
    if (rival !== null && hosts.isRetired(hostId, bootId)) {
      sockets.close(socket, CLOSE.replaced, "a newer process of this host is connected");
      return null;
    }
    this.#takeOver(socket, host, bootId, nowMs);
    hosts.accept(hostId, { ...hello, bootId });
    sockets.write(socket, { stage: "accepted", acceptedMs: nowMs, reported: false });
    await sockets.send(socket, { t: "accepted", hostId, protocol: hello.protocol });
    await this.#parts.logins.tellAll();
    return nowMs + FIRST_REPORT_WAIT_MS;
  }

  /** Only a proved process replaces another: a stolen token alone cannot push a host out. */
  #takeOver(
    socket: WebSocket,
    host: { hostId: string; bootId: string | null },
    bootId: string,
    nowMs: number,
  ): void {
    const { hosts, sockets, watch } = this.#parts;
    for (const other of sockets.of(host.hostId)) {
      if (other.socket === socket || other.state.stage !== "accepted") continue;
      sockets.close(other.socket, CLOSE.replaced, "replaced by a newer connection");
    }
    if (host.bootId === null || host.bootId === bootId) return;
    hosts.retire(host.hostId, host.bootId, nowMs);
    watch.bury(host.hostId, host.bootId, "replaced", nowMs);
  }

  async #report(
    socket: WebSocket,
    state: SocketState,
    running: readonly { deviceId: string; placementId: number }[],
    nowMs: number,
  ): Promise<number | null> {
    const { hosts, placements, sockets } = this.#parts;
    const { hostId, bootId } = state;
    const host = hosts.find(hostId);
    if (host?.bootId !== bootId) return null;
    const { draining } = host;
    const leaving = isLeaving(host);
    const placed = placements.placedOn(hostId, bootId);
    const difference = compareReport({ hostId, draining }, placed, running);
    for (const deviceId of [...difference.confirmed, ...difference.adopted]) {
      placements.setRunning(deviceId, leaving, nowMs);
    }
    const missingTryMs = leaving ? nowMs : nowMs + MISSING_GRACE_MS;
    for (const deviceId of difference.missing) placements.setMissing(deviceId, missingTryMs);
    if (!state.reported) sockets.write(socket, { reported: true });
    for (const { deviceId, placementId } of difference.withdrawn) {
      await sockets.send(socket, { t: "withdraw", deviceId, placementId });
    }
    if (!state.reported) return nowMs;
    return difference.missing.length > 0 ? missingTryMs : null;
  }

  async #clientRefused(state: SocketState, nowMs: number): Promise<number | null> {
    const version = state.hello?.clientVersion;
    if (version === undefined) return null;
    return (await this.#parts.logins.refuse(version, nowMs)) ? nowMs : null;
  }

  #drain(state: SocketState, nowMs: number): number {
    const { hosts, placements } = this.#parts;
    if (hosts.find(state.hostId)?.bootId === state.bootId) {
      hosts.setDraining(state.hostId);
      placements.drain(state.hostId, state.bootId, nowMs);
    }
    return nowMs;
  }

  #distrust(socket: WebSocket, state: SocketState): null {
    const { hostId, bootId } = state;
    logAlert("a host could not prove the seal key", { hostId, bootId });
    this.#parts.sockets.close(socket, CLOSE.wrongProof, "seal key not proved");
    return null;
  }

  #countBad(socket: WebSocket): null {
    const { sockets } = this.#parts;
    const badFrames = sockets.read(socket).badFrames + 1;
    const { hostId } = sockets.write(socket, { badFrames });
    const isTooMany = badFrames > BAD_FRAMES_MAX;
    if (isTooMany || badFrames === 1)
      logWarning("control frame not understood", { hostId, badFrames });
    if (isTooMany) sockets.close(socket, CLOSE.badFrames, "bad frames");
    return null;
  }
}
