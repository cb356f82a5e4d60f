/**
 * One WebSocket to the edge with its lease: dials with headers, pings on a beat, gives text frames to the owner.
 * Knows nothing of what the frames say and never reconnects; that is the owner's policy.
 */
import type { IncomingMessage } from "node:http";
import type { Socket } from "node:net";
import { WebSocket } from "ws";
import { commonVersion, HEADER_PROTOCOLS } from "../src/bridge/versions.ts";
import { FRAME_BYTES_MAX, PING, PING_INTERVAL_MS, PONG } from "../src/bridge/wire.ts";
import { Lease } from "./lease.ts";
import type { Moment } from "./lease.ts";
import { pause } from "./clock.ts";
import type { Clock } from "./clock.ts";

const CLOSE_WAIT_MS = 300;
const HANDSHAKE_TIMEOUT_MS = 10_000;
/** Frames wait in memory up to this; more means that the other side stopped reading. */
const BUFFERED_BYTES_MAX = 16_000_000;

export type SocketEnd =
  /** The server answered the upgrade with an HTTP status. */
  | { kind: "refused"; status: number }
  /** Edge and host have no version of the bridge in common. */
  | { kind: "no_common_version" }
  | { kind: "closed"; code: number }
  | { kind: "failed" };

export interface LeasedSocketHandlers {
  onOpen(): void;
  onText(text: string): void;
  /** Exactly once. */
  onEnd(end: SocketEnd): void;
}

export class LeasedSocket {
  readonly #socket: WebSocket;
  readonly #clock: Clock;
  readonly #lease = new Lease();
  readonly #handlers: LeasedSocketHandlers;
  #beat: NodeJS.Timeout | null = null;
  #wire: Socket | null = null;
  #protocol: number | null = null;
  #corked = false;
  #ended = false;

  constructor(
    url: URL,
    headers: Record<string, string>,
    clock: Clock,
    handlers: LeasedSocketHandlers,
  ) {
    this.#clock = clock;
    this.#handlers = handlers;
    this.#socket = new WebSocket(url.href, {
      headers,
      handshakeTimeout: HANDSHAKE_TIMEOUT_MS,
      maxPayload: FRAME_BYTES_MAX,
      followRedirects: false,
      // Frames are sealed keys and small facts: compressing them costs more than the rest of a message and gains little.
      perMessageDeflate: false,
    });
    this.#socket.on("upgrade", (response: IncomingMessage) => {
      this.#wire = response.socket;
      const offered = response.headers[HEADER_PROTOCOLS];
      this.#protocol = commonVersion(Array.isArray(offered) ? offered.join() : offered);
    });
    this.#socket.on("open", () => {
      if (this.#protocol === null) {
        this.#end({ kind: "no_common_version" });
        this.#socket.close(1000);
        return;
      }
      this.#startBeat();
      handlers.onOpen();
    });
    this.#socket.on("message", (data, isBinary) => {
      if (isBinary || this.#ended || !Buffer.isBuffer(data)) return;
      const text = data.toString();
      if (text === PONG) this.#lease.ponged();
      else handlers.onText(text);
    });
    this.#socket.on("unexpected-response", (_request, response) => {
      response.resume();
      this.#end({ kind: "refused", status: response.statusCode ?? 0 });
      this.#socket.terminate();
    });
    this.#socket.on("error", () => this.#end({ kind: "failed" }));
    this.#socket.on("close", (code) => this.#end({ kind: "closed", code }));
  }

  /** The version of the bridge both sides speak; the first until the edge has answered. */
  get protocol(): number {
    return this.#protocol ?? 1;
  }

  get open(): boolean {
    return !this.#ended && this.#socket.readyState === WebSocket.OPEN;
  }

  leaseHolds(): boolean {
    return this.#lease.holds(this.#now());
  }

  answeredSince(monotonicMs: number): boolean {
    return this.#lease.answeredSince(monotonicMs);
  }

  /** False when the frame did not enter the socket; the owner keeps what must not be lost. */
  send(frame: object): boolean {
    if (!this.open) return false;
    if (this.#socket.bufferedAmount > BUFFERED_BYTES_MAX) {
      this.drop();
      return false;
    }
    this.#cork();
    this.#socket.send(JSON.stringify(frame));
    return true;
  }

  /** A proper close: what was sent before is delivered. Resolves when the other side has closed too. */
  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => {
      this.#socket.once("close", () => resolve());
    });
    this.#socket.close(1000);
    await Promise.race([closed, pause(CLOSE_WAIT_MS)]);
  }

  /** The connection is no use any more; nothing waits for the other side. */
  drop(): void {
    this.#end({ kind: "failed" });
    this.#socket.terminate();
  }

  /** Frames of one turn leave in one write: several small facts cost as much as one. */
  #cork(): void {
    const wire = this.#wire;
    if (this.#corked || wire === null) return;
    this.#corked = true;
    wire.cork();
    process.nextTick(() => {
      this.#corked = false;
      wire.uncork();
    });
  }

  #startBeat(): void {
    const ping = (): void => {
      if (this.#lease.hopeless()) {
        this.drop();
        return;
      }
      this.#lease.pinged(this.#now());
      this.#socket.send(PING);
    };
    ping();
    this.#beat = setInterval(ping, PING_INTERVAL_MS);
  }

  #end(end: SocketEnd): void {
    if (this.#ended) return;
    this.#ended = true;
    if (this.#beat !== null) clearInterval(this.#beat);
    this.#handlers.onEnd(end);
  }

  #now(): Moment {
    return { wallMs: this.#clock.wallMs(), monotonicMs: this.#clock.monotonicMs() };
  }
}
