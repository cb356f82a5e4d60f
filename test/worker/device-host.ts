/**
 * The host's side of one device socket, scripted: it says only what a test tells it to say, and keeps the frames
 * that arrive until a test takes them. Runs no phone.
 */
import {
  type Command,
  type DeviceFrame,
  deviceFrame,
  type Fact,
  type HostFrame,
} from "../../src/bridge/device-frames.ts";
import { PROTOCOL_VERSION } from "../../src/bridge/versions.ts";
import type { CloseReason } from "../../src/bridge/wire.ts";

export type SendCommand = Extract<Command, { kind: "send" }>;

const FRAME_TIMEOUT_MS = 15_000;
export const OWN_PHONE = "6281100000001";

export interface Boot {
  hostId: string;
  bootId: string;
}

export type Welcome = Extract<DeviceFrame, { t: "welcome" }>;

/** One socket of a host. Frames that arrived are kept until a test takes them. */
export class ScriptedHost {
  readonly boot: Boot;
  readonly #socket: WebSocket;
  readonly #frames: DeviceFrame[] = [];
  readonly #waiting: (() => void)[] = [];
  #factN = 0;
  #keysSeq = 0;
  lastCommandSeq = 0;
  welcome: Welcome | null = null;
  closed: { code: number } | null = null;
  /** The version of the bridge it speaks. */
  readonly protocol: number;
  /** Every frame that came, whatever a test took. */
  readonly heard: DeviceFrame[] = [];

  constructor(boot: Boot, socket: WebSocket, protocol: number = PROTOCOL_VERSION) {
    this.protocol = protocol;
    this.boot = boot;
    this.#socket = socket;
    socket.accept();
    socket.addEventListener("message", (event) => {
      if (typeof event.data !== "string") throw new Error("frames are text");
      const frame = deviceFrame.parse(JSON.parse(event.data));
      if (frame.t === "command") this.lastCommandSeq = frame.seq;
      this.heard.push(frame);
      this.#frames.push(frame);
      this.#wake();
    });
    socket.addEventListener("close", (event) => {
      this.closed = { code: event.code };
      this.#wake();
    });
  }

  say(frame: HostFrame): void {
    this.#socket.send(JSON.stringify(frame));
  }

  sayRaw(text: string): void {
    this.#socket.send(text);
  }

  hangUp(): void {
    this.#socket.close(1000, "test");
  }

  /** The next frame of this type; others stay for later. */
  async take<T extends DeviceFrame["t"]>(type: T): Promise<Extract<DeviceFrame, { t: T }>> {
    const isOfType = (frame: DeviceFrame): frame is Extract<DeviceFrame, { t: T }> =>
      frame.t === type;
    await this.#until(() => this.#frames.some(isOfType), `a ${type} frame`);
    const index = this.#frames.findIndex(isOfType);
    const [frame] = this.#frames.splice(index, 1);
    if (frame === undefined || !isOfType(frame)) throw new Error("a frame vanished");
    return frame;
  }

  /** Frames of this type that are here now. */
  here(type: DeviceFrame["t"]): DeviceFrame[] {
    return this.#frames.filter((frame) => frame.t === type);
  }

  async untilClosed(): Promise<number> {
    await this.#until(() => this.closed !== null, "the close");
    return this.closed?.code ?? 0;
  }

  async hello(lastCommandSeq = 0): Promise<Welcome> {
    this.say({ t: "hello", protocol: this.protocol, lastCommandSeq, sealKeyId: "k1" });
    this.welcome = await this.take("welcome");
    this.#keysSeq = this.welcome.keysSeq;
    this.#factN = Math.max(this.#factN, this.welcome.factN);
    return this.welcome;
  }

  /** Tells a fact and waits until it is durable. */
  async fact(fact: Fact, n = this.#factN + 1): Promise<void> {
    this.#factN = Math.max(n, this.#factN);
    this.say({ t: "facts", first: n, facts: [fact] });
    for (;;) {
      const ack = await this.take("fact_ack");
      if (ack.n >= n) return;
    }
  }

  continueFactsFrom(n: number): void {
    this.#factN = n;
  }

  get factN(): number {
    return this.#factN;
  }

  /** Commits keys; answers `committed` or the reason of a refusal. */
  async commit(
    parts: Partial<Omit<Extract<HostFrame, { t: "keys_commit" }>, "t">> = {},
  ): Promise<string> {
    const seq = parts.seq ?? this.#keysSeq + 1;
    this.say({ t: "keys_commit", rows: [], forMessages: [], inbound: [], ...parts, seq });
    await this.#until(
      () => this.here("keys_committed").length + this.here("keys_refused").length > 0,
      "the answer to a commit",
    );
    if (this.here("keys_refused").length > 0) return (await this.take("keys_refused")).reason;
    await this.take("keys_committed");
    this.#keysSeq = Math.max(seq, this.#keysSeq);
    return "committed";
  }

  async command<K extends Command["kind"]>(kind: K): Promise<Extract<Command, { kind: K }>> {
    const { command } = await this.take("command");
    if (command.kind !== kind) throw new Error(`a ${command.kind} command came`);
    return command as Extract<Command, { kind: K }>;
  }

  async open(): Promise<void> {
    await this.fact({
      kind: "session",
      state: "open",
      reason: null,
      code: null,
      byWhatsApp: false,
      retryAtMs: null,
    });
  }

  async connecting(): Promise<void> {
    await this.fact({
      kind: "session",
      state: "connecting",
      reason: null,
      code: null,
      byWhatsApp: false,
      retryAtMs: null,
    });
  }

  async closeSession(
    reason: CloseReason,
    how: { byWhatsApp?: boolean; retryAtMs?: number | null; code?: number | null } = {},
  ): Promise<void> {
    await this.fact({
      kind: "session",
      state: "closed",
      reason,
      code: null,
      byWhatsApp: true,
      retryAtMs: null,
      ...how,
    });
  }

  /** The key commit that lets one message out. */
  async commitFor(command: SendCommand): Promise<string> {
    return this.commit({
      rows: [
        { type: "session", id: `${command.to}.0`, value: `c${command.messageId}` },
        { type: "session", id: `${OWN_PHONE}.0`, value: `o${command.messageId}` },
      ],
      forMessages: [{ messageId: command.messageId, attempt: command.attempt }],
    });
  }

  async ack(command: SendCommand, error: number | null = null): Promise<void> {
    await this.fact({ kind: "ack", waId: command.waId, to: `${command.to}@s.whatsapp.net`, error });
  }

  async receipt(
    command: SendCommand,
    receipt: "delivered" | "read" | "sender" = "delivered",
    chat = `${command.to}@s.whatsapp.net`,
  ): Promise<void> {
    await this.fact({
      kind: "receipt",
      receipt,
      waIds: [command.waId],
      chat,
      chatPhone: null,
      atMs: Date.now(),
    });
  }

  #wake(): void {
    for (const wake of this.#waiting.splice(0)) wake();
  }

  async #until(holds: () => boolean, what: string): Promise<void> {
    const deadline = { isOver: false };
    const timer = setTimeout(() => {
      deadline.isOver = true;
      this.#wake();
    }, FRAME_TIMEOUT_MS);
    while (!holds() && !deadline.isOver) {
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
    clearTimeout(timer);
    if (!holds()) throw new Error(`${what} did not come`);
  }
}
