/**
 * The last gate before the wire: frames of the WhatsApp socket, already sealed and numbered by its own encryption,
 * leave in their order, each only once the key commits of its message are durable and while this host may still act.
 * To the client a frame is written when it is taken here, so that the next text is encrypted while the commit of
 * the last one travels. Refuses to let anything out after the first frame that may not leave.
 */
import type { WASocket } from "@whiskeysockets/baileys";
import type { WebSocket } from "ws";
import { HostError } from "../log.ts";

/** More means that the device has stopped answering; the lease ends the socket soon after. */
const FRAMES_MAX = 2_000;

type Frame = Parameters<WebSocket["send"]>[0];

export interface WireGateOptions {
  /** What must be durable before a frame made now may leave, or null. */
  barrier(): Promise<void> | null;
  mayAct(): boolean;
  /** Ends the socket at once. */
  forbid(): void;
}

export class WireGate {
  readonly #options: WireGateOptions;
  readonly #waiting: { frame: Frame; barrier: Promise<void> | null }[] = [];
  #isDraining = false;
  #isShut = false;

  constructor(options: WireGateOptions) {
    this.#options = options;
  }

  /** Stands between the client and its socket; the client's own socket object has no other way to the wire. */
  guard(client: WASocket["ws"]): void {
    const { socket } = client as unknown as { socket: WebSocket | null };
    if (socket === null) throw new HostError("the client has no socket to guard");
    const send = socket.send.bind(socket) as (frame: Frame) => void;
    socket.send = (frame: Frame, ...rest: unknown[]): void => {
      this.#take(frame, send);
      const written = rest.at(-1);
      if (typeof written === "function") (written as () => void)();
    };
  }

  #take(frame: Frame, send: (frame: Frame) => void): void {
    if (this.#isShut) return;
    const barrier = this.#options.barrier();
    if (barrier === null && !this.#isDraining) {
      this.#release(frame, send);
      return;
    }
    if (this.#waiting.length >= FRAMES_MAX) {
      this.#shut();
      return;
    }
    // A frame that is thrown away with the rest must not be missed.
    barrier?.catch(() => undefined);
    this.#waiting.push({ frame, barrier });
    if (!this.#isDraining) void this.#drain(send);
  }

  async #drain(send: (frame: Frame) => void): Promise<void> {
    this.#isDraining = true;
    try {
      for (let next = this.#waiting.shift(); next !== undefined; next = this.#waiting.shift()) {
        if (next.barrier !== null) await next.barrier;
        this.#release(next.frame, send);
      }
    } catch {
      // The commit failed, and with it the store, which has ended the socket: nothing more leaves.
      this.#shut();
    } finally {
      this.#isDraining = false;
    }
  }

  #release(frame: Frame, send: (frame: Frame) => void): void {
    if (this.#isShut) return;
    if (this.#options.mayAct()) send(frame);
    else this.#shut();
  }

  #shut(): void {
    if (this.#isShut) return;
    this.#isShut = true;
    this.#waiting.length = 0;
    this.#options.forbid();
  }
}
