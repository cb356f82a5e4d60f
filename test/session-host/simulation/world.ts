/**
 * Time, chance and machines of a simulation: one queue of events in virtual time, so that a run depends on its seed and
 * its steps alone. A machine can freeze, be suspended, lose its process, or stop dead in the middle of an event, right
 * before it reads its clock or writes to a socket. Knows nothing of what runs on a machine.
 */
import { vi } from "vitest";
import type { Clock } from "../../../session-host/clock.ts";

const BEGAN_MS = Date.UTC(2026, 10, 30);

export interface Handle {
  cancelled: boolean;
  /** Nothing here keeps a process alive. */
  unref(): void;
}

interface Scheduled extends Handle {
  atMs: number;
  n: number;
  owner: Machine | null;
  run: () => void;
}

/** One process and its clocks. */
export class Machine {
  readonly name: string;
  isDead = false;
  frozenUntilMs = 0;
  readonly #world: World;
  /** What wall time is ahead of true time by. */
  #wallAheadMs = 0;
  /** Time that the monotonic clock did not count. */
  #suspendedMs = 0;
  /** How far this event has come behind the time at which it began. */
  #lagMs = 0;
  #stall: { points: number; ms: number; isSuspend: boolean } | null = null;

  constructor(world: World, name: string) {
    this.#world = world;
    this.name = name;
  }

  /** True time, as far as this machine has come. */
  get nowMs(): number {
    return this.#world.nowMs + this.#lagMs;
  }

  get isRunning(): boolean {
    return !this.isDead && this.frozenUntilMs <= this.#world.nowMs && this.#lagMs === 0;
  }

  readonly clock: Clock = {
    wallMs: () => {
      this.point();
      return this.wallMs;
    },
    monotonicMs: () => {
      this.point();
      return this.monotonicMs;
    },
  };

  /** The same without giving it a chance to stop. */
  get wallMs(): number {
    return BEGAN_MS + Math.floor(this.nowMs) + this.#wallAheadMs;
  }

  get monotonicMs(): number {
    return this.nowMs - this.#suspendedMs;
  }

  freeze(ms: number, isSuspend: boolean): void {
    this.frozenUntilMs = Math.max(this.frozenUntilMs, this.#world.nowMs + ms);
    if (isSuspend) this.#suspendedMs += ms;
  }

  /** The same, in the middle of an event, after so many more points. */
  stallIn(points: number, ms: number, isSuspend: boolean): void {
    this.#stall = { points, ms, isSuspend };
  }

  jumpWall(ms: number): void {
    this.#wallAheadMs += ms;
  }

  /** It stopped in the middle of the event that runs. */
  get hasStalled(): boolean {
    return this.#lagMs > 0;
  }

  /** Passed before whatever the world could notice. */
  point(): void {
    const stall = this.#stall;
    if (stall === null) return;
    stall.points -= 1;
    if (stall.points > 0) return;
    this.#stall = null;
    this.#lagMs += stall.ms;
    if (stall.isSuspend) this.#suspendedMs += stall.ms;
  }

  /** After an event that stopped in its middle, everything else of this machine comes later. */
  eventEnded(): void {
    if (this.#lagMs > 0) this.frozenUntilMs = Math.max(this.frozenUntilMs, this.nowMs);
    this.#lagMs = 0;
  }
}

export class World {
  nowMs = 0;
  /** Whose event is running. */
  current: Machine | null = null;
  /** Called after each event. */
  onEvent: () => void = () => undefined;
  readonly #queue: Scheduled[] = [];
  #drawn = 0;
  #chance: number;

  constructor(seed: number) {
    this.#chance = seed | 0;
  }

  /** Uniform in [0, 1). */
  random = (): number => {
    this.#chance = (this.#chance + 0x6d2b79f5) | 0;
    let mixed = Math.imul(this.#chance ^ (this.#chance >>> 15), 1 | this.#chance);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };

  schedule(owner: Machine | null, delayMs: number, run: () => void): Handle {
    const atMs = (owner?.nowMs ?? this.nowMs) + Math.max(0, delayMs);
    const scheduled = { atMs, n: this.#drawn, owner, run, ...newHandle() };
    this.#drawn += 1;
    this.#insert(scheduled);
    return scheduled;
  }

  async runFor(ms: number): Promise<void> {
    const untilMs = this.nowMs + ms;
    for (let next = this.#queue[0]; next !== undefined && next.atMs <= untilMs;) {
      this.#queue.shift();
      await this.#run(next);
      next = this.#queue[0];
    }
    this.nowMs = untilMs;
  }

  async #run(next: Scheduled): Promise<void> {
    const { owner } = next;
    if (next.cancelled || owner?.isDead === true) return;
    this.nowMs = Math.max(this.nowMs, next.atMs);
    if (owner !== null && owner.frozenUntilMs > this.nowMs) {
      next.atMs = owner.frozenUntilMs;
      this.#insert(next);
      return;
    }
    this.current = owner;
    next.run();
    await settled();
    owner?.eventEnded();
    this.current = null;
    this.onEvent();
  }

  /** Kept in the order of time, then of scheduling. */
  #insert(one: Scheduled): void {
    let low = 0;
    let high = this.#queue.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const other = this.#queue[middle];
      const isBefore =
        other !== undefined &&
        (other.atMs < one.atMs || (other.atMs === one.atMs && other.n < one.n));
      if (isBefore) low = middle + 1;
      else high = middle;
    }
    this.#queue.splice(low, 0, one);
  }
}

function newHandle(): Handle {
  return { cancelled: false, unref: () => undefined };
}

const realImmediate = setImmediate;

/** Everything that follows from an event without time passing has followed. */
async function settled(): Promise<void> {
  await new Promise((resolve) => {
    realImmediate(resolve);
  });
}

/** From here on the product's timers, dates and chance are the world's. Undo with `vi.unstubAllGlobals` and `vi.restoreAllMocks`. */
export function takeOverTime(world: World): void {
  const once = (run: (...args: unknown[]) => void, delayMs = 0, ...args: unknown[]): Handle =>
    world.schedule(world.current, delayMs, () => run(...args));
  const repeat = (run: () => void, delayMs: number): Handle => {
    const owner = world.current;
    const handle: Handle = newHandle();
    const again = (): void => {
      world.schedule(owner, delayMs, () => {
        if (handle.cancelled) return;
        run();
        again();
      });
    };
    again();
    return handle;
  };
  const cancel = (handle: Handle | null | undefined): void => {
    if (handle !== null && handle !== undefined) handle.cancelled = true;
  };
  vi.stubGlobal("setTimeout", once);
  vi.stubGlobal("setImmediate", (run: () => void) => once(run));
  vi.stubGlobal("setInterval", repeat);
  vi.stubGlobal("clearTimeout", cancel);
  vi.stubGlobal("clearInterval", cancel);
  vi.spyOn(Date, "now").mockImplementation(() => BEGAN_MS + Math.floor(world.nowMs));
}
