/**
 * The wires between machines: ordered both ways, as slow as told, black holes for a while, or cut, with either side
 * hearing of the cut early, late or never. Carries text and knows no frames.
 */
import type { Machine, World } from "./world.ts";

export type WireKind = "bridge" | "control" | "whatsapp";

/** Packets wait; every connection breaks; it breaks and cannot be made again; packets are slow; nothing is wrong. */
export type WireTrouble = "stalled" | "cut" | "down" | "slow" | "well";

const DELAY_MS = 5;

/** What one end hears. */
export interface Ear {
  text(text: string): void;
  /** `code` null: nobody said goodbye. */
  closed(code: number | null): void;
}

interface Packet {
  text: string | null;
  code: number | null;
}

/** All wires of one kind from one machine, and what is wrong with them. */
export class Link {
  readonly #world: World;
  /** Nobody answers who dials. */
  isDown = false;
  /** The slowest that a packet may be. */
  #delayMaxMs = DELAY_MS;
  #held: (() => void)[] | null = null;
  readonly wires = new Set<Wire>();

  constructor(world: World) {
    this.#world = world;
  }

  delayMs(): number {
    return 0.2 + this.#world.random() * this.#delayMaxMs;
  }

  become(how: WireTrouble, delayMs: number): void {
    switch (how) {
      case "stalled":
        this.#held ??= [];
        return;
      case "cut":
        this.#cut();
        return;
      case "down":
        this.isDown = true;
        this.#cut();
        return;
      case "slow":
        this.#delayMaxMs = delayMs;
        return;
      case "well":
        this.heal();
        return;
    }
  }

  heal(): void {
    this.isDown = false;
    this.#delayMaxMs = DELAY_MS;
    const held = this.#held ?? [];
    this.#held = null;
    for (const pass of held) pass();
  }

  pass(departure: () => void): void {
    if (this.#held === null) departure();
    else this.#held.push(departure);
  }

  /** Ends every wire; who hears of it when is up to chance. */
  #cut(): void {
    for (const wire of this.wires) wire.break();
    this.wires.clear();
  }
}

/** One connection. `near` is the machine that dialled. */
export class Wire {
  readonly near: Machine;
  /** What the ends hear; null: that process is gone. */
  nearEar: Ear | null = null;
  farEar: Ear | null = null;
  readonly #world: World;
  readonly #link: Link;
  readonly #far: () => Machine;
  #lastMs = { near: 0, far: 0 };
  #isBroken = false;
  readonly #isLost = { near: false, far: false };

  constructor(world: World, link: Link, near: Machine, far: () => Machine) {
    this.#world = world;
    this.#link = link;
    this.near = near;
    this.#far = far;
    link.wires.add(this);
  }

  toFar(packet: Packet): void {
    this.near.point();
    this.#carry("far", this.near.nowMs, packet);
  }

  toNear(packet: Packet): void {
    this.#carry("near", this.#world.nowMs, packet);
  }

  /** The process at one end is gone: its kernel says so to the other, if the wire carries it. */
  nearDied(): void {
    this.nearEar = null;
    this.toFar({ text: null, code: null });
    this.#link.wires.delete(this);
  }

  farDied(): void {
    this.farEar = null;
    this.toNear({ text: null, code: null });
  }

  /** Closed in order: nothing is cut any more. */
  ended(): void {
    this.#link.wires.delete(this);
  }

  break(): void {
    this.#isBroken = true;
    const { random } = this.#world;
    const heard = (): number => (random() < 0.6 ? random() * 20 : random() * 40_000);
    this.#world.schedule(this.near, heard(), () => this.nearEar?.closed(null));
    this.#world.schedule(this.#far(), heard(), () => this.farEar?.closed(null));
  }

  #carry(to: "near" | "far", sentMs: number, packet: Packet): void {
    this.#link.pass(() => {
      const beginMs = Math.max(sentMs, this.#world.nowMs, this.#lastMs[to]);
      const atMs = beginMs + this.#link.delayMs();
      this.#lastMs[to] = atMs;
      this.#world.schedule(null, atMs - this.#world.nowMs, () => {
        // What was under way when the wire broke arrives up to some point: an ordered stream has no holes.
        this.#isLost[to] ||= this.#isBroken && this.#world.random() < 0.7;
        if (this.#isLost[to]) return;
        // Whoever is at that end by now.
        const owner = to === "near" ? this.near : this.#far();
        this.#world.schedule(owner, 0, () =>
          hear(to === "near" ? this.nearEar : this.farEar, packet),
        );
      });
    });
  }
}

function hear(ear: Ear | null, { text, code }: Packet): void {
  if (text === null) ear?.closed(code);
  else ear?.text(text);
}

export class Network {
  readonly #world: World;
  readonly #links = new Map<string, Link>();

  constructor(world: World) {
    this.#world = world;
  }

  link(machine: Machine, kind: WireKind): Link {
    const key = `${machine.name} ${kind}`;
    const known = this.#links.get(key);
    if (known !== undefined) return known;
    const link = new Link(this.#world);
    this.#links.set(key, link);
    return link;
  }

  /** Everything is as it should be. */
  heal(): void {
    for (const link of this.#links.values()) link.heal();
  }

  /** The process is gone, and its sockets with it. */
  died(machine: Machine): void {
    for (const [key, link] of this.#links) {
      if (!key.startsWith(`${machine.name} `)) continue;
      for (const wire of link.wires) wire.nearDied();
    }
  }
}
