/**
 * One client's WebSocket: handshake, frames in and out, stanzas handled one at a time in the order of arrival.
 * What a stanza means is decided elsewhere.
 */

import { decodeBinaryNode, encodeBinaryNode, proto } from "@whiskeysockets/baileys";
import type { RawData, WebSocket } from "ws";
import type { ConnectionRecord } from "./connection-log.ts";
import { generateKeyPair } from "./curve.ts";
import { frame, FrameReader } from "./frames.ts";
import type { LinkedDevice, LinkedDeviceKeys } from "./linked-device.ts";
import type { Network } from "./network.ts";
import { NoiseResponder, type CipherState } from "./noise.ts";
import type { Phone } from "./phone.ts";
import { element, type Stanza } from "./stanza.ts";

export type Login = { phone: Phone; linked: LinkedDevice };

/** The keys a client brings when it wants to be linked. */
export type Registration = Omit<LinkedDeviceKeys, "device" | "keyIndex" | "identityDigest">;

export type ConnectionHandler = {
  authenticated: (
    connection: Connection,
    payload: proto.IClientPayload,
    clientStatic: Buffer,
  ) => Promise<void>;
  stanza: (connection: Connection, stanza: Stanza) => Promise<void>;
};

const HANDSHAKE_TIMEOUT_MS = 30_000;

export class Connection {
  login: Login | undefined;
  registration: Registration | undefined;
  /** The backlog was handed over: new stanzas go out at once. */
  live = false;
  /** What tests are shown of it. */
  readonly record: ConnectionRecord;
  /** The client calls itself available. */
  available = false;
  readonly #network: Network;
  readonly #socket: WebSocket;
  readonly #handler: ConnectionHandler;
  readonly #reader = new FrameReader();
  readonly #answers = new Map<string, (answer: Stanza) => void>();
  #noise: NoiseResponder | undefined;
  #ciphers: { receive: CipherState; send: CipherState } | undefined;
  #work: Promise<void> = Promise.resolve();
  #iqCount = 0;
  #ended = false;
  /** We ended it: what the client still had under way is not looked at. */
  #cut = false;

  constructor(network: Network, socket: WebSocket, handler: ConnectionHandler) {
    this.#network = network;
    this.#socket = socket;
    this.#handler = handler;
    this.record = network.evidence.connections.open(network.now());
    network.opened(this);
    socket.on("message", (data) => this.#receive(toBuffer(data)));
    socket.on("close", () => this.#closed());
    // The close event follows and does the work; a client that vanishes is nothing unusual here.
    socket.on("error", () => {});
    network.later(HANDSHAKE_TIMEOUT_MS, () => {
      if (this.#ciphers === undefined) this.drop();
    });
  }

  get ended(): boolean {
    return this.#ended;
  }

  send(stanza: Stanza): void {
    if (this.#ciphers === undefined || this.#socket.readyState !== this.#socket.OPEN) return;
    this.#socket.send(frame(this.#ciphers.send.seal(encodeBinaryNode(stanza))));
  }

  /** Sends an iq of our own and waits for the client's answer. Undefined when none came in time. */
  async ask(content: Stanza, timeoutMs: number): Promise<Stanza | undefined> {
    const id = `srv-${++this.#iqCount}`;
    return new Promise((resolve) => {
      this.#answers.set(id, resolve);
      this.send(
        element(
          "iq",
          { from: "@s.whatsapp.net", type: "set", id, t: this.#network.seconds, xmlns: "md" },
          [content],
        ),
      );
      this.#network.later(timeoutMs, () => {
        this.#answers.delete(id);
        resolve(undefined);
      });
    });
  }

  /** True when the stanza answers something we asked. */
  takeAnswer(stanza: Stanza): boolean {
    const resolve = this.#answers.get(stanza.attrs["id"] ?? "");
    if (resolve === undefined) return false;
    this.#answers.delete(stanza.attrs["id"] ?? "");
    resolve(stanza);
    return true;
  }

  /** `<stream:error>` and the end. */
  fail(attrs: Record<string, string>, content: Stanza[]): void {
    this.send(element("stream:error", attrs, content));
    this.close();
  }

  close(): void {
    this.#leave();
    this.#socket.close(1000);
  }

  /** Cuts the socket without a word. */
  drop(): void {
    this.#leave();
    this.#socket.terminate();
  }

  stopReading(): void {
    this.#socket.pause();
  }

  resumeReading(): void {
    this.#socket.resume();
  }

  #leave(): void {
    this.#cut = true;
    this.live = false;
    this.record.endedMs ??= this.#network.now();
    this.#network.left(this);
  }

  #closed(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.record.endedMs ??= this.#network.now();
    this.live = false;
    this.#network.left(this);
    if (this.login !== undefined) {
      this.#network.events.emit("disconnected", this.login.phone.number, {
        device: this.login.linked.device,
      });
    }
  }

  #receive(chunk: Buffer): void {
    // A terminated socket still empties its buffer.
    if (this.#cut) return;
    try {
      for (const bytes of this.#reader.push(chunk)) this.#frame(bytes);
    } catch (error) {
      this.#network.evidence.unexpected(
        `bytes: ${error instanceof Error ? error.message : "unreadable"}`,
      );
      this.drop();
    }
  }

  /** Decrypts in the order of arrival; decoding and handling queue up behind. */
  #frame(bytes: Buffer): void {
    if (this.#ciphers === undefined) return this.#handshake(bytes);
    const plain = this.#ciphers.receive.open(bytes);
    this.#enqueue(async () => {
      const stanza = await decodeBinaryNode(plain);
      if (!this.#cut) await this.#handler.stanza(this, stanza);
    });
  }

  #enqueue(job: () => Promise<void>): void {
    this.#work = this.#work.then(job).catch((error: unknown) => {
      this.#network.evidence.unexpected(
        `error: ${error instanceof Error ? error.message : "unknown"}`,
      );
    });
  }

  #handshake(bytes: Buffer): void {
    const { clientHello, clientFinish } = proto.HandshakeMessage.decode(bytes);
    const { identity } = this.#network;
    if (this.#noise === undefined) {
      if (!clientHello?.ephemeral) throw new Error("no client hello");
      this.#noise = new NoiseResponder(identity.noiseStatic, generateKeyPair());
      const serverHello = this.#noise.hello(clientHello.ephemeral, identity.certificateChain);
      this.#socket.send(frame(proto.HandshakeMessage.encode({ serverHello }).finish()));
      return;
    }
    if (!clientFinish?.static || !clientFinish.payload) throw new Error("no client finish");
    const { clientStatic, payload, receive, send } = this.#noise.finish(
      clientFinish.static,
      clientFinish.payload,
    );
    this.#ciphers = { receive, send };
    this.#enqueue(async () =>
      this.#handler.authenticated(this, proto.ClientPayload.decode(payload), clientStatic),
    );
  }
}

function toBuffer(data: RawData): Buffer {
  if (Array.isArray(data)) return Buffer.concat(data);
  return data instanceof ArrayBuffer ? Buffer.from(data) : data;
}
