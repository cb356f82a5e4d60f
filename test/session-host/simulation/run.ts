/**
 * One run of the simulation: hosts and device with the product's own code, a paired phone, and the steps of a script.
 * At its end everything is healed, and what the device holds is compared with what was asked and what arrived.
 */
import { firstMessageIdAt } from "../../../src/domain/id.ts";
import type { SealKey } from "../../../session-host/sealing.ts";
import { Edge, takeOverRuntime } from "./edge.ts";
import { Hosts } from "./hosts.ts";
import { Network } from "./network.ts";
import { jidOf, pairPhone, phoneOf } from "./phone.ts";
import type { Step } from "./script.ts";
import { runSimulation } from "./simulation.ts";
import { SimWhatsApp } from "./whatsapp.ts";
import { Witness } from "./witness.ts";
import { takeOverTime, World } from "./world.ts";

const SEAL_KEYS: SealKey[] = [{ id: "k1", key: Buffer.alloc(32, 7) }];
const LIFE_MS = 24 * 3_600_000;

export type Tally = Record<
  | "simulatedS"
  | "epochs"
  | "keysUsed"
  | "rowsTaken"
  | "commitsRefused"
  | "messages"
  | "secondCopies"
  | "texts",
  number
>;

interface StoredMessage {
  id: number;
  waId: string | null;
  state: string;
  copies: number;
}

export class Run {
  readonly world: World;
  readonly network: Network;
  readonly edge: Edge;
  readonly whatsApp: SimWhatsApp;
  readonly witness: Witness;
  readonly hosts: Hosts;
  readonly #accepted: number[] = [];
  readonly #texts: string[] = [];
  #asked = 0;

  constructor(seed: number) {
    this.world = new World(seed);
    takeOverTime(this.world);
    takeOverRuntime(this.world);
    this.network = new Network(this.world);
    this.edge = new Edge(this.world);
    this.whatsApp = new SimWhatsApp(this.world);
    this.witness = new Witness(this.world, this.edge, SEAL_KEYS);
    this.hosts = new Hosts(this.world, this.network, SEAL_KEYS);
    runSimulation(this);
  }

  async begin(): Promise<void> {
    void this.edge.call((device) => device.install(this.edge.identity));
    await this.world.runFor(100);
    pairPhone(this.edge, SEAL_KEYS);
    this.witness.begin();
    this.edge.restart("evict");
    this.hosts.bootAll();
    await this.world.runFor(2_000);
    void this.edge.fleet.place(this.#nameOf(0));
    await this.world.runFor(2_000);
  }

  async act(step: Step): Promise<void> {
    switch (step.do) {
      case "send":
        void this.#send(step.contact, step.count);
        break;
      case "write":
        this.#write(step.contact);
        break;
      case "askAgain":
        this.#askAgain(step.pick);
        break;
      case "place":
        void this.edge.fleet.place(this.#nameOf(step.host), step.isOld);
        break;
      case "repeat":
        this.edge.fleet.repeat(this.#nameOf(step.host), step.ago);
        break;
      case "withdraw":
        this.edge.fleet.withdraw(this.#nameOf(step.host));
        break;
      case "freeze":
        this.hosts.machine(step.host).freeze(step.ms, step.isSuspend);
        break;
      case "stall":
        this.hosts.machine(step.host).stallIn(step.points, step.ms, step.isSuspend);
        break;
      case "jump":
        this.hosts.machine(step.host).jumpWall(step.ms);
        break;
      case "wire":
        this.network.link(this.hosts.machine(step.host), step.kind).become(step.how, step.delayMs);
        break;
      case "kill":
        this.hosts.kill(step.host);
        break;
      case "stop":
        this.hosts.stop(step.host);
        break;
      case "device":
        this.edge.restart(step.how);
        break;
      case "mute":
        this.whatsApp.isMute = step.isMute;
        break;
      case "hangUp":
        this.whatsApp.closeCurrent(step.code);
        break;
    }
    await this.world.runFor(step.thenMs);
  }

  /** Nothing is wrong any more; then as much time as it takes. Answers what is not as it should be in the end. */
  async heal(): Promise<string[]> {
    this.network.heal();
    this.whatsApp.isMute = false;
    let left = this.#left();
    for (let turn = 0; turn < 60 && left.length > 0; turn += 1) {
      // A second attempt needs a connection after the first.
      if (turn % 20 === 15) this.whatsApp.closeCurrent(503);
      await this.world.runFor(5_000);
      left = this.#left();
    }
    return left;
  }

  /** How much happened, so that nobody takes an idle run for a good one. */
  tally(): Tally {
    const refused = this.edge.sql.rows<{ value: number }>(
      "SELECT value FROM counters WHERE name = 'keys_refused'",
    );
    const copies = [...this.witness.written.values()];
    return {
      simulatedS: Math.round(this.world.nowMs / 1000),
      epochs: this.witness.epochs,
      keysUsed: this.witness.keysUsed,
      rowsTaken: this.witness.rowsTaken,
      commitsRefused: refused[0]?.value ?? 0,
      messages: this.#accepted.length,
      secondCopies: copies.filter((count) => count > 1).length,
      texts: this.#texts.length,
    };
  }

  end(): void {
    this.hosts.end();
    this.edge.sql.close();
    runSimulation(null);
  }

  #nameOf(place: number): string {
    return this.hosts.machine(place).name;
  }

  #left(): string[] {
    const { sql } = this.edge;
    const messages = sql.rows<StoredMessage>(
      "SELECT id, wa_id AS waId, state, committed_attempt AS copies FROM outbox",
    );
    const known = new Set(messages.map(({ id }) => id));
    const texts = sql
      .rows<{ waId: string }>("SELECT wa_id AS waId FROM inbound")
      .map(({ waId }) => waId);
    const [device] = sql.rows<{ status: string }>("SELECT status FROM device");
    const status = device?.status ?? "nowhere";
    return [
      ...this.#accepted.filter((id) => !known.has(id)).map((id) => `message ${id} is lost`),
      ...messages.flatMap((message) => this.#wrongWith(message)),
      ...this.#texts.filter((id) => !texts.includes(id)).map((id) => `text ${id} is lost`),
      ...texts.filter((id, at) => texts.indexOf(id) !== at).map((id) => `text ${id} came twice`),
      ...(status === "connected" ? [] : [`the phone is ${status}`]),
    ];
  }

  #wrongWith({ id, waId, state, copies }: StoredMessage): string[] {
    const written = this.witness.written.get(waId ?? "") ?? 0;
    const arrived = this.whatsApp.arrived.get(waId ?? "") ?? 0;
    switch (state) {
      case "queued":
      case "handing":
        return [`message ${id} is ${state}`];
      case "maybe_sent":
        return copies < 2 ? [`message ${id} got no second attempt`] : [];
      case "sent":
      case "received":
      case "read":
        return arrived === 0 ? [`message ${id} is ${state} and never arrived`] : [];
      default:
        return written > 0 ? [`message ${id} is ${state} and was written`] : [];
    }
  }

  async #send(contact: number, count: number): Promise<void> {
    const nowMs = Date.now();
    const messages = Array.from({ length: count }, (_, index) => {
      this.#asked += 1;
      return {
        id: firstMessageIdAt(nowMs) + this.#asked,
        nonce: `nonce ${this.#asked}`,
        to: phoneOf(contact + index),
        text: `text ${this.#asked}`,
        category: "notification" as const,
        priceRupiah: 100,
        periodId: 1,
        acceptedMs: nowMs,
        dueMs: nowMs,
        expiresMs: nowMs + LIFE_MS,
      };
    });
    const answer = await this.edge.call((device) => device.enqueue(this.edge.identity, messages));
    if (answer?.ok === true) this.#accepted.push(...messages.map(({ id }) => id));
  }

  #write(contact: number): void {
    const id = `IN${this.#texts.length}`;
    this.#texts.push(id);
    this.whatsApp.write(jidOf(contact), id, `answer ${this.#texts.length}`);
  }

  #askAgain(pick: number): void {
    const sent = this.edge.sql.rows<{ waId: string; recipient: string }>(
      "SELECT wa_id AS waId, recipient FROM outbox WHERE committed_attempt > 0 ORDER BY id",
    );
    const one = sent[pick % Math.max(1, sent.length)];
    if (one !== undefined) this.whatsApp.askAgain(one.waId, `${one.recipient}@s.whatsapp.net`);
  }
}
