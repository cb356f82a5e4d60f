/**
 * WhatsApp in a simulation, as one account sees it: one connection at a time, acknowledgements on the connection a
 * stanza came by, receipts and texts kept until a connection takes them. Keeps what it received; judges nothing.
 */
import type { Wire } from "./network.ts";
import { Machine, type World } from "./world.ts";

/** What a linked device writes. */
export type FromDevice =
  | { t: "login" }
  | { t: "ask"; n: number }
  | {
      t: "message";
      id: string;
      to: string;
      /** For each of `devices`. */
      sealed: string[];
      devices: string[];
      /** The client's own answer to a request of the recipient's device. */
      isRetry: boolean;
    }
  | { t: "receipt"; id: string }
  | { t: "retry"; id: string };

/** What it hears. */
export type ToDevice =
  | { t: "open" }
  | { t: "drained" }
  | { t: "answer"; n: number; preKey: string }
  | { t: "ack"; id: string; to: string }
  | { t: "receipt"; id: string; from: string; type: "delivered" | "retry" }
  | { t: "text"; id: string; from: string; sealed: string; isOffline: boolean };

const CODE_REPLACED = 440;

interface Pending {
  id: string;
  from: string;
  text: string;
}

export class SimWhatsApp {
  readonly machine: Machine;
  /** Stanzas that arrived, by WhatsApp id. */
  readonly arrived = new Map<string, number>();
  /** Texts that were confirmed by a receipt. */
  readonly confirmed = new Set<string>();
  /** While true, acknowledgements and receipts get lost. */
  isMute = false;
  readonly #world: World;
  #current: Wire | null = null;
  #texts: Pending[] = [];
  #receipts: Extract<ToDevice, { t: "receipt" }>[] = [];
  #preKeys = 0;
  readonly #counters = new Map<string, number>();

  constructor(world: World) {
    this.#world = world;
    this.machine = new Machine(world, "whatsapp");
  }

  connected(wire: Wire): void {
    wire.farEar = {
      text: (text) => this.#hear(wire, JSON.parse(text) as FromDevice),
      closed: () => this.#left(wire),
    };
  }

  /** Somebody writes to the account. */
  write(from: string, id: string, text: string): void {
    const pending = { from, id, text };
    this.#texts.push(pending);
    this.#offer(pending, false);
  }

  /** The recipient's device could not read it and asks for it again. */
  askAgain(id: string, from: string): void {
    this.#tell({ t: "receipt", id, from, type: "retry" });
  }

  closeCurrent(code: number): void {
    this.#close(code);
  }

  #hear(wire: Wire, said: FromDevice): void {
    if (said.t === "login") {
      this.#login(wire);
      return;
    }
    // What an overtaken connection still writes leads nowhere.
    if (wire !== this.#current) return;
    switch (said.t) {
      case "ask":
        this.#preKeys += 1;
        this.#say({ t: "answer", n: said.n, preKey: `pre-key ${this.#preKeys}` });
        return;
      case "message":
        this.#received(said.id, said.to);
        return;
      case "receipt":
        this.confirmed.add(said.id);
        this.#texts = this.#texts.filter(({ id }) => id !== said.id);
        return;
      case "retry": {
        const text = this.#texts.find(({ id }) => id === said.id);
        if (text !== undefined) this.#offer(text, false);
        return;
      }
    }
  }

  #login(wire: Wire): void {
    if (this.#current !== null) this.#close(CODE_REPLACED);
    this.#current = wire;
    this.#say({ t: "open" });
    for (const text of this.#texts) this.#offer(text, true);
    for (const receipt of this.#receipts.splice(0)) this.#say(receipt);
    this.#say({ t: "drained" });
  }

  #received(id: string, to: string): void {
    this.arrived.set(id, (this.arrived.get(id) ?? 0) + 1);
    if (this.isMute) return;
    this.#say({ t: "ack", id, to });
    this.#world.schedule(this.machine, this.#world.random() * 400, () =>
      this.#tell({ t: "receipt", id, from: to, type: "delivered" }),
    );
  }

  /** Every sending of a text is sealed anew. */
  #offer({ id, from, text }: Pending, isOffline: boolean): void {
    const counter = (this.#counters.get(from) ?? 0) + 1;
    this.#counters.set(from, counter);
    const sealed = JSON.stringify({ counter, text });
    if (this.#current !== null) this.#say({ t: "text", id, from, sealed, isOffline });
  }

  /** Now, or with the backlog of the next login. */
  #tell(receipt: Extract<ToDevice, { t: "receipt" }>): void {
    if (this.#current === null) this.#receipts.push(receipt);
    else this.#say(receipt);
  }

  #say(said: ToDevice): void {
    this.#current?.toNear({ text: JSON.stringify(said), code: null });
  }

  #close(code: number): void {
    const wire = this.#current;
    this.#current = null;
    if (wire === null) return;
    wire.farEar = null;
    wire.toNear({ text: null, code });
  }

  #left(wire: Wire): void {
    if (wire === this.#current) this.#current = null;
  }
}
