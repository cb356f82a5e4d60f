/**
 * The simulated network as one value: who exists, who is connected, what is recorded. The parts that act on it
 * (logins, messages, receipts) are functions in their own files and take it as an argument.
 */

import { DEFAULT_BEHAVIOUR, mergeBehaviour, type Behaviour } from "./behaviour.ts";
import type { ServerIdentity } from "./certificates.ts";
import type { Connection } from "./connection.ts";
import { Directory } from "./directory.ts";
import { Events } from "./events.ts";
import { Evidence } from "./evidence.ts";
import { Faults } from "./faults.ts";
import { HeldAcks } from "./held-acks.ts";
import type { LinkedDevice } from "./linked-device.ts";
import { LinkingDesk } from "./linking-desk.ts";
import type { Phone } from "./phone.ts";
import type { Stanza } from "./stanza.ts";

export type NetworkOptions = {
  now: () => number;
  randomBytes: (length: number) => Buffer;
  identity: ServerIdentity;
};

const RETRIES_MAX = 5;
const RETRIED_MESSAGES_MAX = 1_000;

export class Network {
  readonly now: () => number;
  readonly randomBytes: (length: number) => Buffer;
  readonly identity: ServerIdentity;
  readonly directory: Directory;
  readonly events: Events;
  readonly evidence = new Evidence();
  readonly faults = new Faults();
  readonly held = new HeldAcks();
  readonly desk: LinkingDesk;
  behaviour: Behaviour = { ...DEFAULT_BEHAVIOUR };
  /** Called after every change worth saving. */
  onChange: () => void = () => {};
  readonly #online = new Map<string, Connection>();
  readonly #open = new Set<Connection>();
  readonly #timers = new Set<NodeJS.Timeout>();
  readonly #chains = new Map<string, Promise<unknown>>();
  readonly #retries = new Map<string, number>();
  #closed = false;

  constructor(options: NetworkOptions) {
    this.now = options.now;
    this.randomBytes = options.randomBytes;
    this.identity = options.identity;
    this.directory = new Directory(options.randomBytes);
    this.events = new Events(options.now);
    this.desk = new LinkingDesk(options.randomBytes);
  }

  get seconds(): string {
    return String(Math.floor(this.now() / 1000));
  }

  /** A stanza or message id nobody can guess. */
  newId(prefix: string): string {
    return prefix + this.randomBytes(9).toString("hex").toUpperCase();
  }

  behaviourOf(phone: Phone): Behaviour {
    return mergeBehaviour(this.behaviour, phone.behaviour);
  }

  opened(connection: Connection): void {
    this.#open.add(connection);
  }

  online(phone: Phone, linked: LinkedDevice): Connection | undefined {
    return this.#online.get(phone.jid("s.whatsapp.net", linked.device));
  }

  connectionsOf(account: string | null): Connection[] {
    return [...this.#open].filter((one) => account === null || one.login?.phone.number === account);
  }

  /** Returns the connection that was there before. */
  enter(connection: Connection, phone: Phone, linked: LinkedDevice): Connection | undefined {
    const key = phone.jid("s.whatsapp.net", linked.device);
    const before = this.#online.get(key);
    this.#online.set(key, connection);
    return before;
  }

  left(connection: Connection): void {
    this.#open.delete(connection);
    this.desk.forget(connection);
    const { login } = connection;
    if (login === undefined) return;
    const key = login.phone.jid("s.whatsapp.net", login.linked.device);
    if (this.#online.get(key) === connection) this.#online.delete(key);
  }

  /** Keeps a stanza until the device acknowledges it, and sends it now if the device is past its backlog. */
  deliver(phone: Phone, linked: LinkedDevice, stanza: Stanza): void {
    linked.backlog.add(stanza);
    this.onChange();
    const connection = this.online(phone, linked);
    if (connection?.live !== true) return;
    connection.send(stanza);
    if (stanza.tag === "message")
      this.evidence.inboundSent(
        stanza.attrs["id"] ?? "",
        phone.jid("s.whatsapp.net", linked.device),
      );
  }

  /** The number of the next retry request for a message at a device; undefined when there were enough. */
  nextRetry(phone: Phone, device: number, id: string): number | undefined {
    const key = `${phone.number}:${device} ${id}`;
    const count = (this.#retries.get(key) ?? 0) + 1;
    if (count > RETRIES_MAX) return undefined;
    this.#retries.set(key, count);
    const oldest = this.#retries.keys().next();
    if (this.#retries.size > RETRIED_MESSAGES_MAX && !oldest.done)
      this.#retries.delete(oldest.value);
    return count;
  }

  /** Runs jobs of one key one after the other. */
  async inOrder<T>(key: string, job: () => Promise<T>): Promise<T> {
    const before = this.#chains.get(key) ?? Promise.resolve();
    const run = before.then(job, job);
    this.#chains.set(key, run);
    try {
      return await run;
    } finally {
      if (this.#chains.get(key) === run) this.#chains.delete(key);
    }
  }

  /** Runs a job after a delay, unless the simulator closes first. */
  later(delayMs: number, job: () => void): void {
    if (this.#closed) return;
    if (delayMs === 0) return job();
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      job();
    }, delayMs);
    this.#timers.add(timer);
  }

  close(): void {
    this.#closed = true;
    for (const timer of this.#timers) clearTimeout(timer);
    this.#timers.clear();
    for (const connection of this.#open) connection.drop();
    this.events.close();
  }
}
