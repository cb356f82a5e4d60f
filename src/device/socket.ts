/**
 * The device's WebSockets from hosts: who is on the other end, which one is current, and frames out. All state is
 * in attachments, so an object that slept knows its sockets again. Refuses to understand frames (frames.ts) and
 * to decide about epochs (epochs.ts).
 */
import type { DeviceFrame } from "../bridge/device-frames.ts";
import { exceedsFrame, PING, PONG } from "../bridge/wire.ts";
import { cross } from "../domain/crossing.ts";
import { errorFields, logAlert, logWarning } from "../domain/log.ts";

export interface SocketAttachment {
  epoch: number;
  hostId: string;
  bootId: string;
  /** Told to the host in the welcome, then forgotten. */
  resumeToken: string | null;
  /** True once hello and welcome were exchanged. */
  welcomed: boolean;
  /** The version its host speaks, as it said in its hello; 0 before. */
  protocol: number;
  /** A newer socket of the same epoch took over; only facts are heard here. */
  superseded: boolean;
  /** The last command number used. */
  commandSeq: number;
  /** The last fact applied. */
  factN: number;
  malformed: number;
}

/** Application close codes of the bridge. */
export const CLOSE_TOO_BIG = 1009;
export const CLOSE_SUPERSEDED = 4001;
export const CLOSE_PROTOCOL = 4002;
export const CLOSE_RESUME = 4003;
export const CLOSE_DONE = 4004;

const OPEN = 1;
const CLOSED = 3;

export class Bridge {
  readonly #ctx: DurableObjectState;
  /** Copies of what the sockets carry, since reading it from them costs more. */
  readonly #attachments = new WeakMap<WebSocket, SocketAttachment>();

  constructor(ctx: DurableObjectState) {
    this.#ctx = ctx;
    ctx.setWebSocketAutoResponse(new WebSocketRequestResponsePair(PING, PONG));
  }

  accept(socket: WebSocket, attachment: SocketAttachment): void {
    this.#ctx.acceptWebSocket(socket);
    this.#attach(socket, attachment);
  }

  attachmentOf(socket: WebSocket): SocketAttachment | null {
    const known = this.#attachments.get(socket);
    if (known !== undefined) return known;
    const stored = socket.deserializeAttachment() as SocketAttachment | null;
    if (stored !== null) this.#attachments.set(socket, stored);
    return stored;
  }

  update(socket: WebSocket, patch: Partial<SocketAttachment>): void {
    const attachment = this.attachmentOf(socket);
    if (attachment !== null) this.#attach(socket, { ...attachment, ...patch });
  }

  /** The socket that may be given commands under this epoch, or null. */
  current(epoch: number): WebSocket | null {
    if (epoch === 0) return null;
    for (const socket of this.#ctx.getWebSockets()) {
      if (socket.readyState !== OPEN) continue;
      const attachment = this.attachmentOf(socket);
      if (attachment?.epoch === epoch && attachment.welcomed && !attachment.superseded) {
        return socket;
      }
    }
    return null;
  }

  /** The version of the bridge that is spoken on this socket. */
  protocolOf(socket: WebSocket): number {
    // Sockets opened before this was noted spoke the first.
    return this.attachmentOf(socket)?.protocol ?? 1;
  }

  /** Numbers the next command on this socket. */
  nextCommandSeq(socket: WebSocket): number {
    const seq = (this.attachmentOf(socket)?.commandSeq ?? 0) + 1;
    this.update(socket, { commandSeq: seq });
    return seq;
  }

  /** Before a socket of `epoch` takes its place: the older ones of that epoch close, those of others are told. */
  makeWayFor(epoch: number): void {
    for (const socket of this.#ctx.getWebSockets()) {
      const attachment = this.attachmentOf(socket);
      if (attachment === null) continue;
      if (attachment.epoch === epoch) {
        this.update(socket, { superseded: true });
        this.close(socket, CLOSE_SUPERSEDED, "superseded");
      } else {
        void this.send(socket, { t: "revoked", reason: "new_epoch" });
      }
    }
  }

  /** Ends what runs under `epoch`: keys are refused from now on, facts still heard until the host closes. */
  revoke(epoch: number, reason: "new_epoch" | "unpaired" | "shutdown"): void {
    for (const socket of this.#ctx.getWebSockets()) {
      if (this.attachmentOf(socket)?.epoch !== epoch) continue;
      this.update(socket, { superseded: true });
      void this.send(socket, { t: "revoked", reason });
    }
  }

  /** Nothing more is heard from this host, under whatever epoch. */
  closeAllOf(hostId: string): void {
    for (const socket of this.#ctx.getWebSockets()) {
      if (this.attachmentOf(socket)?.hostId !== hostId) continue;
      this.update(socket, { superseded: true });
      this.close(socket, CLOSE_DONE, "host dismissed");
    }
  }

  /**
   * A frame that cannot be written leaves a hole in an ordered stream, so the socket is closed: after its resume
   * the host says what it has, and the rest is sent again.
   */
  async send(socket: WebSocket, frame: DeviceFrame): Promise<boolean> {
    // Closed meanwhile: whatever it was, the next socket asks for it.
    if (socket.readyState !== OPEN) return false;
    const text = JSON.stringify(frame);
    if (exceedsFrame(text)) {
      // The host would close on it and come again for the same: a person must know why this phone is not served.
      logAlert("bridge frame too large", { frame: frame.t });
      this.close(socket, CLOSE_TOO_BIG, "frame too big");
      return false;
    }
    try {
      await cross("bridge", `device.${frame.t}`, async () => socket.send(text));
      return true;
    } catch (error) {
      logWarning("bridge frame not written", { frame: frame.t, ...errorFields(error) });
      this.close(socket, CLOSE_RESUME, "resume");
      return false;
    }
  }

  close(socket: WebSocket, code: number, reason: string): void {
    if (socket.readyState === CLOSED) return;
    socket.close(code, reason);
  }

  #attach(socket: WebSocket, attachment: SocketAttachment): void {
    socket.serializeAttachment(attachment);
    this.#attachments.set(socket, attachment);
  }
}
