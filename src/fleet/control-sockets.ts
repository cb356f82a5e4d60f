/**
 * The hosts' control sockets, which survive the hibernation of this object: what is known of each is its
 * attachment. Admits, finds, sends and closes; decides nothing about hosts or devices.
 */
import type { FleetFrame } from "../bridge/control-frames.ts";
import { HEADER_PROTOCOLS, PROTOCOLS_OFFERED } from "../bridge/versions.ts";
import { PING, PONG } from "../bridge/wire.ts";
import { cross } from "../domain/crossing.ts";
import { errorFields, logWarning } from "../domain/log.ts";

/** Why this object closes a control socket. 4401, 4403 and 4426 do not heal by trying again. */
export const CLOSE = {
  badFrames: 4400,
  revoked: 4401,
  wrongProof: 4403,
  silent: 4408,
  replaced: 4409,
  frameTooLarge: 4413,
  protocol: 4426,
} as const;

const UNPROVEN_PER_HOST_MAX = 4;

export interface SocketState {
  hostId: string;
  bootId: string;
  /** `over`: closed by us; whatever it still says is not heard. */
  stage: "new" | "challenged" | "proving" | "accepted" | "over";
  connectedMs: number;
  /** The last frame; answered pings are known to the runtime. */
  seenMs: number;
  acceptedMs: number;
  /** It has said what it runs since it was accepted. */
  reported: boolean;
  nonce: string;
  badFrames: number;
  hello: { protocol: number; capacity: number; sealKeyId: string; clientVersion: string } | null;
}

export interface ControlSocket {
  socket: WebSocket;
  state: SocketState;
}

export class ControlSockets {
  readonly #context: DurableObjectState;

  constructor(context: DurableObjectState) {
    this.#context = context;
    context.setWebSocketAutoResponse(new WebSocketRequestResponsePair(PING, PONG));
  }

  /** Opens the socket of a host whose token was checked. The oldest of too many unproven ones gives way. */
  admit(hostId: string, bootId: string, nowMs: number): Response {
    const unproven = this.#all(hostId).filter(({ state }) => state.stage !== "accepted");
    unproven.sort((left, right) => left.state.connectedMs - right.state.connectedMs);
    for (const { socket } of unproven.slice(0, -(UNPROVEN_PER_HOST_MAX - 1))) {
      this.close(socket, CLOSE.silent, "too many unproven sockets");
    }
    const { 0: client, 1: server } = new WebSocketPair();
    this.#context.acceptWebSocket(server, [hostId]);
    server.serializeAttachment({
      hostId,
      bootId,
      stage: "new",
      connectedMs: nowMs,
      seenMs: nowMs,
      acceptedMs: 0,
      reported: false,
      nonce: "",
      badFrames: 0,
      hello: null,
    } satisfies SocketState);
    const headers = { [HEADER_PROTOCOLS]: PROTOCOLS_OFFERED };
    return new Response(null, { status: 101, headers, webSocket: client });
  }

  read(socket: WebSocket): SocketState {
    return socket.deserializeAttachment() as SocketState;
  }

  write(socket: WebSocket, change: Partial<SocketState>): SocketState {
    const state = { ...this.read(socket), ...change };
    socket.serializeAttachment(state);
    return state;
  }

  /** All open ones, or those of one host. */
  of(hostId?: string): ControlSocket[] {
    return this.#all(hostId);
  }

  accepted(hostId: string, bootId: string): ControlSocket | null {
    const found = this.#all(hostId).find(
      ({ state }) => state.stage === "accepted" && state.bootId === bootId,
    );
    return found ?? null;
  }

  lastSignMs(socket: WebSocket): number {
    const pingedMs = this.#context.getWebSocketAutoResponseTimestamp(socket)?.getTime() ?? 0;
    return Math.max(pingedMs, this.read(socket).seenMs);
  }

  /** False when the socket is gone; the host's next report repairs what was lost. */
  async send(socket: WebSocket, frame: FleetFrame): Promise<boolean> {
    try {
      await cross("bridge", `fleet.${frame.t}`, async () => socket.send(JSON.stringify(frame)));
      return true;
    } catch (error) {
      logWarning("control frame not sent", { frame: frame.t, ...errorFields(error) });
      return false;
    }
  }

  close(socket: WebSocket, code: number, reason: string): void {
    this.write(socket, { stage: "over" });
    try {
      socket.close(code, reason);
    } catch (error) {
      logWarning("control socket did not close", { code, ...errorFields(error) });
    }
  }

  #all(hostId?: string): ControlSocket[] {
    return this.#context
      .getWebSockets(hostId)
      .map((socket) => ({ socket, state: this.read(socket) }))
      .filter(
        ({ socket, state }) => socket.readyState === WebSocket.OPEN && state.stage !== "over",
      );
  }
}
