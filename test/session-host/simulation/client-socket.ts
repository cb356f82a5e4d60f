/**
 * What the host's code gets for `ws`: a client socket on a simulated wire, with the events and the state that the real
 * one shows. Where it leads to is the edge's business.
 */
import { EventEmitter } from "node:events";
import { HEADER_PROTOCOLS, PROTOCOLS_OFFERED } from "../../../src/bridge/versions.ts";
import { PING, PONG } from "../../../src/bridge/wire.ts";
import type { Ear } from "./network.ts";
import { Wire } from "./network.ts";
import { simulation } from "./simulation.ts";
import type { Machine } from "./world.ts";

const CONTROL_PATH = "/bridge/control";

const CONNECTING = 0;
const OPEN = 1;
const CLOSING = 2;
const CLOSED = 3;

interface Moment {
  wallMs: number;
  monotonicMs: number;
}

/** Which sends of a ping were answered, as somebody notes it who stands beside the machine. */
class PingRecord {
  readonly #asked: Moment[] = [];
  answered: Moment | null = null;

  asked(machine: Machine): void {
    this.#asked.push({ wallMs: machine.wallMs, monotonicMs: machine.monotonicMs });
  }

  heard(): void {
    this.answered = this.#asked.shift() ?? this.answered;
  }
}

export class ClientSocket extends EventEmitter {
  static readonly OPEN = OPEN;
  readyState = CONNECTING;
  readonly bufferedAmount = 0;
  readonly pings = new PingRecord();
  readonly machine: Machine;
  readonly path: string;
  readonly #wire: Wire;

  constructor(
    address: string,
    options: { headers: Record<string, string>; handshakeTimeout: number },
  ) {
    super();
    const { world, network, edge } = simulation();
    const machine = world.current;
    if (machine === null) throw new Error("a socket belongs to a machine");
    this.machine = machine;
    this.path = new URL(address).pathname;
    const link = network.link(machine, this.path === CONTROL_PATH ? "control" : "bridge");
    this.#wire = new Wire(world, link, machine, () => edge.machineOf(this.path));
    simulation().witness.dialled(this);
    if (link.isDown) {
      world.schedule(machine, link.delayMs(), () => this.#failed());
      return;
    }
    world.schedule(machine, options.handshakeTimeout, () => {
      if (this.readyState === CONNECTING) this.#failed();
    });
    this.#wire.nearEar = this.#handshake();
    this.#wire.farEar = {
      text: () => void edge.dialled(this.#wire, address, options.headers),
      closed: () => undefined,
    };
    this.#wire.toFar({ text: "", code: null });
  }

  send(text: string): void {
    if (this.readyState !== OPEN) return;
    if (text === PING) this.pings.asked(this.machine);
    this.#wire.toFar({ text, code: null });
  }

  close(code: number): void {
    if (this.readyState === CONNECTING) this.#failed();
    if (this.readyState !== OPEN) return;
    this.readyState = CLOSING;
    this.#wire.toFar({ text: null, code });
  }

  terminate(): void {
    if (this.readyState === CLOSED) return;
    this.readyState = CLOSED;
    this.#wire.nearDied();
    const { world } = simulation();
    world.schedule(this.machine, 0, () => this.emit("close", 1006));
  }

  /** Until the edge has answered. */
  #handshake(): Ear {
    return {
      text: (text) => {
        const { status } = JSON.parse(text) as { status: number };
        if (this.readyState !== CONNECTING) return;
        if (status === 101) this.#opened();
        else this.emit("unexpected-response", {}, { statusCode: status, resume: () => undefined });
      },
      closed: () => this.#failed(),
    };
  }

  #opened(): void {
    this.readyState = OPEN;
    this.#wire.nearEar = {
      text: (text) => {
        if (this.readyState === CLOSED) return;
        if (text === PONG) this.pings.heard();
        this.emit("message", Buffer.from(text), false);
      },
      closed: (code) => {
        if (this.readyState === CLOSED) return;
        this.readyState = CLOSED;
        this.#wire.ended();
        this.emit("close", code ?? 1006);
      },
    };
    // The Fleet here says the first version's frames; the device is the product's own.
    const headers = this.path === CONTROL_PATH ? {} : { [HEADER_PROTOCOLS]: PROTOCOLS_OFFERED };
    this.emit("upgrade", { headers, socket: { cork: () => undefined, uncork: () => undefined } });
    this.emit("open");
  }

  #failed(): void {
    if (this.readyState === CLOSED) return;
    this.readyState = CLOSED;
    this.#wire.ended();
    this.emit("error", new Error("no connection"));
    this.emit("close", 1006);
  }
}
