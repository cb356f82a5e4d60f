/**
 * A fleet that does what a script says: lets every host in, gives a device to one host, to several, twice, under an old
 * number or with an old ticket. When the device asks for a host by itself it gets any that is there.
 */
import { hostControlFrame, type FleetFrame } from "../../../src/bridge/control-frames.ts";
import { HEADER_BOOT, HEADER_HOST_TOKEN, PING, PONG } from "../../../src/bridge/wire.ts";
import type { Edge } from "./edge.ts";
import type { Wire } from "./network.ts";
import { Machine, type World } from "./world.ts";

interface Guest {
  hostId: string;
  bootId: string;
  wire: Wire;
  isAccepted: boolean;
  heardMs: number;
}

const LOOKS_EVERY_MS = 2_000;
/** A host that was not heard of for so long has lost its device. */
const SILENT_MAX_MS = 10_000;

type Assignment = Extract<FleetFrame, { t: "assign" }>;

export class SimFleet {
  readonly machine: Machine;
  readonly #world: World;
  readonly #edge: Edge;
  /** By the name of the machine. */
  readonly #guests = new Map<string, Guest>();
  readonly #given: Assignment[] = [];
  #placementId = 0;
  #holder: Guest | null = null;

  constructor(world: World, edge: Edge) {
    this.#world = world;
    this.#edge = edge;
    this.machine = new Machine(world, "fleet");
    this.#look();
  }

  /** As the device reaches it. */
  readonly rpc = {
    want: async (): Promise<void> => this.#placeAnywhere(),
    release: async (): Promise<void> => undefined,
  };

  dialled(wire: Wire, headers: Record<string, string>): void {
    const bootId = headers[HEADER_BOOT] ?? "";
    // Whoever shares a token is one host to the fleet.
    const hostId = (headers[HEADER_HOST_TOKEN] ?? "").replace("Bearer ", "host of ");
    const guest: Guest = { hostId, bootId, wire, isAccepted: false, heardMs: this.#world.nowMs };
    this.#guests.set(wire.near.name, guest);
    wire.farEar = {
      text: (text) => this.#hear(guest, text),
      closed: () => this.#left(guest),
    };
    wire.toNear({ text: JSON.stringify({ status: 101 }), code: null });
  }

  /** Names of machines whose hosts are connected. */
  get present(): string[] {
    return [...this.#guests].filter(([, { isAccepted }]) => isAccepted).map(([name]) => name);
  }

  /** Gives the device to this host, under the number before last when `isOld`. */
  async place(name: string, isOld = false): Promise<void> {
    const guest = this.#guests.get(name);
    if (guest === undefined || !guest.isAccepted) return;
    if (!isOld) this.#placementId += 1;
    const placementId = Math.max(1, this.#placementId - Number(isOld));
    const { hostId, bootId } = guest;
    const minted = await this.#edge.call((device) =>
      device.mintTicket({ placementId, hostId, bootId }),
    );
    if (minted === null || !minted.ok) return;
    const { deviceId } = this.#edge.identity;
    const assignment = { t: "assign", deviceId, placementId, ticket: minted.value.ticket } as const;
    this.#given.push(assignment);
    this.#holder = guest;
    this.#say(name, assignment);
  }

  /** Says an assignment of long ago again, to whomever, under a number that makes the host try. */
  repeat(name: string, ago: number): void {
    const old = this.#given.at(-1 - ago);
    if (old === undefined) return;
    this.#placementId += 1;
    this.#say(name, { ...old, placementId: this.#placementId });
  }

  withdraw(name: string): void {
    const { deviceId } = this.#edge.identity;
    this.#say(name, { t: "withdraw", deviceId, placementId: this.#placementId });
  }

  /** Like the real one it gives a device away whose host is gone, and knows nothing of half-open sockets. */
  #look(): void {
    this.#world.schedule(this.machine, LOOKS_EVERY_MS, () => {
      const holder = this.#holder;
      const isHere = holder !== null && [...this.#guests.values()].includes(holder);
      const isHeard = holder !== null && this.#world.nowMs - holder.heardMs <= SILENT_MAX_MS;
      if (holder !== null && !(isHere && isHeard)) {
        this.#holder = null;
        this.#placeAnywhere();
      }
      this.#look();
    });
  }

  #placeAnywhere(): void {
    const { present } = this;
    const chosen = present[Math.floor(this.#world.random() * present.length)];
    if (chosen !== undefined) this.#world.schedule(null, 50, () => void this.place(chosen));
  }

  #say(name: string, frame: FleetFrame): void {
    this.#guests.get(name)?.wire.toNear({ text: JSON.stringify(frame), code: null });
  }

  #hear(guest: Guest, text: string): void {
    const answer = (frame: FleetFrame): void =>
      guest.wire.toNear({ text: JSON.stringify(frame), code: null });
    const heardMs = this.#world.nowMs;
    Object.assign(guest, { heardMs });
    if (text === PING) {
      guest.wire.toNear({ text: PONG, code: null });
      return;
    }
    const frame = hostControlFrame.parse(JSON.parse(text));
    if (frame.t === "hello") answer({ t: "challenge", nonce: "n".repeat(32) });
    if (frame.t === "proof") {
      guest.isAccepted = true;
      answer({ t: "accepted", hostId: guest.hostId, protocol: 1 });
    }
    if (frame.t === "draining" || frame.t === "goodbye") guest.isAccepted = false;
  }

  #left(guest: Guest): void {
    for (const [name, other] of this.#guests) if (other === guest) this.#guests.delete(name);
  }
}
