/**
 * What stands for Baileys and libsignal under the product's adapter: a socket that logs in, encrypts for two devices
 * through the repository it was given and writes at once, and a repository whose sessions are counters. A counter that
 * is used twice or lost is what a broken ratchet would be.
 */
import { EventEmitter } from "node:events";
import type { BinaryNode, SignalKeyStore } from "@whiskeysockets/baileys";
import { Wire } from "./network.ts";
import { simulation } from "./simulation.ts";
import type { FromDevice, ToDevice } from "./whatsapp.ts";
import type { Machine } from "./world.ts";

/** A Signal session: which one it is, and how far its two chains have come. */
export interface SimSession {
  base: string;
  sent: number;
  seen: number[];
  /** The machine that wrote this row. */
  by: string;
}

export interface Sealed {
  base: string;
  counter: number;
}

interface Keys {
  get(type: "session", ids: string[]): Promise<Record<string, SimSession | undefined>>;
  set(rows: { session: Record<string, SimSession> }): Promise<void>;
}

interface Repository {
  encryptMessage(request: { jid: string; data: Uint8Array }): Promise<{ ciphertext: Uint8Array }>;
  decryptMessage(request: { jid: string; ciphertext: Uint8Array }): Promise<Uint8Array>;
  injectE2ESession(request: { jid: string; session: { preKey: string } }): Promise<void>;
}

/** Like session rows, it says who wrote it. */
interface Creds {
  me?: { id: string };
  accountSyncCounter: number;
  by: string;
}

interface Config {
  auth: { creds: Creds; keys: SignalKeyStore };
  makeSignalRepository(auth: unknown, logger: unknown, toLid: unknown): Repository;
  getMessage(key: {
    remoteJid: string;
    id: string;
  }): Promise<{ extendedTextMessage: { text: string } } | undefined>;
}

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** One after the other, by the address that is encrypted for. */
class Turns {
  readonly #last = new Map<string, Promise<unknown>>();

  take<T>(name: string, work: () => Promise<T>): Promise<T> {
    const turn = (this.#last.get(name) ?? Promise.resolve()).then(work, work);
    this.#last.set(
      name,
      turn.catch(() => undefined),
    );
    return turn;
  }
}

/** Libsignal's part: inner, without any fence. `encode` makes the bytes of a message. */
export function simRepository(
  auth: { keys: unknown },
  encode: (text: string) => Uint8Array,
): Repository {
  const keys = auth.keys as Keys;
  const { current } = simulation().world;
  const by = current?.name ?? "nobody";
  const turns = new Turns();
  const session = async (jid: string): Promise<SimSession | undefined> =>
    (await keys.get("session", [jid]))[jid];
  return {
    encryptMessage: ({ jid, data }) =>
      turns.take(jid, async () => {
        const before = await session(jid);
        if (before === undefined) throw new Error("no session");
        const next = { ...before, sent: before.sent + 1, by };
        await keys.set({ session: { [jid]: next } });
        const sealed: Sealed = { base: next.base, counter: next.sent };
        return {
          ciphertext: encoder.encode(JSON.stringify({ ...sealed, text: decoder.decode(data) })),
        };
      }),
    decryptMessage: ({ jid, ciphertext }) =>
      turns.take(jid, async () => {
        const { counter, text } = JSON.parse(decoder.decode(ciphertext)) as {
          counter: number;
          text: string;
        };
        const before = (await session(jid)) ?? { base: `from ${jid}`, sent: 0, seen: [], by };
        if (before.seen.includes(counter)) throw new Error("key used already");
        await keys.set({
          session: { [jid]: { ...before, seen: [...before.seen, counter].slice(-200), by } },
        });
        return Uint8Array.from([...encode(text), 1]);
      }),
    injectE2ESession: ({ jid, session: { preKey } }) =>
      turns.take(jid, async () => {
        const seen = (await session(jid))?.seen ?? [];
        await keys.set({ session: { [jid]: { base: preKey, sent: 0, seen, by } } });
      }),
  };
}

class Closed extends Error {
  readonly isBoom = true;
}

export class SimSocket {
  /** As in the client: whatever leaves passes `socket.send`, which the product's gate stands before. */
  readonly ws = Object.assign(new EventEmitter(), {
    socket: { send: (frame: string): void => this.#out(frame) },
  });
  readonly authState: { keys: SignalKeyStore };
  readonly ev = new EventEmitter();
  readonly signalRepository = { lidMapping: { getPNForLID: async () => null } };
  readonly machine: Machine;
  readonly #config: Config;
  readonly #repository: Repository;
  readonly #turns = new Turns();
  readonly #wire: Wire;
  readonly #asked = new Map<
    number,
    { answered: (preKey: string) => void; failed: (why: Error) => void }
  >();
  #asks = 0;
  #isOpen = true;

  constructor(config: Config) {
    const { world, network, whatsApp, witness } = simulation();
    const machine = world.current;
    if (machine === null) throw new Error("a socket belongs to a machine");
    this.machine = machine;
    this.#config = config;
    const { keys } = config.auth;
    this.authState = {
      keys: { get: (type, ids) => keys.get(type, ids), set: (rows) => keys.set(rows) },
    };
    this.#repository = config.makeSignalRepository(config.auth, null, null);
    const link = network.link(machine, "whatsapp");
    this.#wire = new Wire(world, link, machine, () => whatsApp.machine);
    witness.loggingIn(this);
    this.ws.on("CB:message", (node: BinaryNode) => void this.#onText(node));
    this.ws.on("CB:receipt", (node: BinaryNode) => void this.#onReceipt(node));
    if (link.isDown) {
      world.schedule(machine, 10, () => this.#closed(408));
      return;
    }
    whatsApp.connected(this.#wire);
    this.#wire.nearEar = {
      text: (text) => this.#hear(JSON.parse(text) as ToDevice),
      closed: (code) => this.#closed(code ?? 428),
    };
    this.#write({ t: "login" });
  }

  get isOpen(): boolean {
    return this.#isOpen;
  }

  sendMessage(
    to: string,
    content: { text: string },
    { messageId }: { messageId: string },
  ): Promise<void> {
    return this.#turns.take("send", () => this.#relay(to, content.text, messageId, false));
  }

  async onWhatsApp(phone: string): Promise<{ jid: string; exists: boolean }[]> {
    await this.#ask();
    return [{ jid: `${phone}@s.whatsapp.net`, exists: true }];
  }

  async sendPresenceUpdate(): Promise<void> {
    if (!this.#isOpen) throw new Closed();
  }

  async sendMessageAck(): Promise<void> {
    if (!this.#isOpen) throw new Closed();
  }

  async end(): Promise<void> {
    this.#closed(428);
  }

  async #relay(to: string, text: string, id: string, isRetry: boolean): Promise<void> {
    const own = this.#config.auth.creds.me?.id ?? "";
    const devices = [to, own];
    for (const jid of devices) {
      const known = await (this.#config.auth.keys as unknown as Keys).get("session", [jid]);
      if (known[jid] !== undefined) continue;
      const preKey = await this.#ask();
      await this.#repository.injectE2ESession({ jid, session: { preKey } });
    }
    const data = encoder.encode(text);
    const { witness } = simulation();
    const sealed = await Promise.all(
      devices.map(async (jid) => {
        const { ciphertext } = await this.#repository.encryptMessage({ jid, data });
        witness.keyUsed(this, "encrypt");
        return decoder.decode(ciphertext);
      }),
    );
    if (!this.#isOpen) throw new Closed();
    this.#write({ t: "message", id, to, sealed, devices, isRetry });
  }

  #hear(said: ToDevice): void {
    switch (said.t) {
      case "open":
        this.#config.auth.creds.accountSyncCounter += 1;
        this.#config.auth.creds.by = this.machine.name;
        this.ev.emit("creds.update", {});
        this.ev.emit("connection.update", { connection: "open" });
        return;
      case "drained":
        this.ev.emit("connection.update", { receivedPendingNotifications: true });
        return;
      case "answer":
        this.#asked.get(said.n)?.answered(said.preKey);
        this.#asked.delete(said.n);
        return;
      case "ack":
        this.ws.emit("CB:ack,class:message", { tag: "ack", attrs: { id: said.id, from: said.to } });
        return;
      case "receipt": {
        const type = said.type === "retry" ? { type: "retry" } : {};
        const content =
          said.type === "retry" ? [{ tag: "retry", attrs: { id: said.id } }] : undefined;
        this.ws.emit("CB:receipt", {
          tag: "receipt",
          attrs: { id: said.id, from: said.from, ...type },
          content,
        });
        return;
      }
      case "text":
        this.ws.emit("CB:message", textNode(said));
        return;
    }
  }

  async #onText({ attrs, content }: BinaryNode): Promise<void> {
    const { id = "", from = "" } = attrs;
    const ciphertext = (content as BinaryNode[])[0]?.content as Uint8Array;
    try {
      await this.#repository.decryptMessage({ jid: from, ciphertext });
      simulation().witness.keyUsed(this, "decrypt");
    } catch {
      this.#write({ t: "retry", id });
      return;
    }
    simulation().witness.confirmed(this, id);
    this.#write({ t: "receipt", id });
  }

  async #onReceipt({ attrs }: BinaryNode): Promise<void> {
    const { id = "", from = "", type } = attrs;
    if (type !== "retry") return;
    const message = await this.#config.getMessage({ remoteJid: from, id });
    if (message === undefined) return;
    await this.#turns
      .take("send", () => this.#relay(from, message.extendedTextMessage.text, id, true))
      .catch(() => undefined);
  }

  async #ask(): Promise<string> {
    if (!this.#isOpen) throw new Closed();
    this.#asks += 1;
    const n = this.#asks;
    const answer = new Promise<string>((answered, failed) => {
      this.#asked.set(n, { answered, failed });
      simulation().world.schedule(this.machine, 20_000, () => failed(new Closed()));
    });
    this.#write({ t: "ask", n });
    return answer;
  }

  #write(said: FromDevice): void {
    this.ws.socket.send(JSON.stringify(said));
  }

  #out(frame: string): void {
    if (!this.#isOpen) return;
    const said = JSON.parse(frame) as FromDevice;
    if (said.t === "message") simulation().witness.stanza(this, said);
    this.#wire.toFar({ text: frame, code: null });
  }

  #closed(statusCode: number): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#wire.nearDied();
    for (const { failed } of this.#asked.values()) failed(new Closed());
    const error = { output: { statusCode } };
    this.ev.emit("connection.update", { connection: "close", lastDisconnect: { error } });
  }
}

function textNode(said: Extract<ToDevice, { t: "text" }>): BinaryNode {
  const { id, from, sealed, isOffline } = said;
  const t = String(Math.floor(Date.now() / 1000));
  return {
    tag: "message",
    attrs: { id, from, t, ...(isOffline ? { offline: "1" } : {}) },
    content: [{ tag: "enc", attrs: { v: "2", type: "msg" }, content: encoder.encode(sealed) }],
  };
}
