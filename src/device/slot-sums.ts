/**
 * Work by slots of time, as a tree of sums: what waits up to a moment, and when a phone is through with it, is told by a few
 * nodes however many slots are in use. Memory only, bounded by the slots in use; no I/O, no clock.
 */

/** Of a stretch of slots: the work in it, and when a phone is through that has nothing else to do. */
export interface SlotSum {
  stepsMs: number;
  throughMs: number;
}

interface Slot {
  count: number;
  stepsMs: number;
}

interface Node {
  /** In use beneath it; a node without any is removed. */
  slots: number;
  /** Null: something beneath it changed, so it is added up when it is asked for. */
  sum: SlotSum | null;
}

const FAN_OUT = 64;
/** Slots, and four levels above them: enough for slots of five seconds until the year 2140. */
const LEVELS = 5;
const NOTHING: SlotSum = { stepsMs: 0, throughMs: Number.NEGATIVE_INFINITY };

export class SlotSums {
  readonly #slotMs: number;
  readonly #slots = new Map<number, Slot>();
  /** By level, by place; the first level is that of the slots and stays empty here. */
  readonly #nodes: readonly Map<number, Node>[] = Array.from({ length: LEVELS }, () => new Map());

  constructor(slotMs: number) {
    this.#slotMs = slotMs;
  }

  add(atMs: number, stepMs: number): void {
    const place = this.#placeOf(atMs);
    const slot = this.#slots.get(place) ?? { count: 0, stepsMs: 0 };
    if (slot.count === 0) this.#slots.set(place, slot);
    slot.count += 1;
    slot.stepsMs += stepMs;
    this.#changeAbove(place, slot.count === 1 ? 1 : 0);
  }

  /** Takes one out. How much work it was is not known any more: the slot's mean goes. */
  remove(atMs: number): void {
    const place = this.#placeOf(atMs);
    const slot = this.#slots.get(place);
    if (slot === undefined) return;
    slot.stepsMs -= slot.stepsMs / slot.count;
    slot.count -= 1;
    if (slot.count === 0) this.#slots.delete(place);
    this.#changeAbove(place, slot.count === 0 ? -1 : 0);
  }

  /** Of all slots that begin by then. */
  upTo(atMs: number): SlotSum {
    let place = this.#placeOf(atMs) + 1;
    let sum = NOTHING;
    for (let level = 0; level < LEVELS; level += 1) {
      const above = Math.floor(place / FAN_OUT);
      sum = joined(this.#sumOf(level, above * FAN_OUT, place), sum);
      place = above;
    }
    return sum;
  }

  /** Of places of one level, `to` not included. */
  #sumOf(level: number, from: number, to: number): SlotSum {
    let sum = NOTHING;
    for (let place = from; place < to; place += 1) {
      const next = level === 0 ? this.#slotSum(place) : this.#nodeSum(level, place);
      if (next !== null) sum = joined(sum, next);
    }
    return sum;
  }

  #slotSum(place: number): SlotSum | null {
    const slot = this.#slots.get(place);
    if (slot === undefined) return null;
    return { stepsMs: slot.stepsMs, throughMs: place * this.#slotMs + slot.stepsMs };
  }

  #nodeSum(level: number, place: number): SlotSum | null {
    const node = this.#nodes[level]?.get(place);
    if (node === undefined) return null;
    node.sum ??= this.#sumOf(level - 1, place * FAN_OUT, (place + 1) * FAN_OUT);
    return node.sum;
  }

  #changeAbove(slot: number, slots: -1 | 0 | 1): void {
    let place = slot;
    for (const nodes of this.#nodes.slice(1)) {
      place = Math.floor(place / FAN_OUT);
      const node = nodes.get(place) ?? { slots: 0, sum: null };
      if (node.slots === 0) nodes.set(place, node);
      node.slots += slots;
      node.sum = null;
      if (node.slots === 0) nodes.delete(place);
    }
  }

  #placeOf(atMs: number): number {
    return Math.floor(atMs / this.#slotMs);
  }
}

/** A phone that is through with the earlier stretch goes on with the later one. */
function joined(earlier: SlotSum, later: SlotSum): SlotSum {
  return {
    stepsMs: earlier.stepsMs + later.stepsMs,
    throughMs: Math.max(earlier.throughMs + later.stepsMs, later.throughMs),
  };
}
