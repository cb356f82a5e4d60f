/**
 * How much work waits before a moment, kept as sums of steps by slots of time, so that nobody has to read a long queue to
 * judge one message. Built from the queue once, then kept in step with it. Memory only, bounded by the slots in use; no
 * I/O, no clock. To the width of a slot it is an estimate.
 */
import type { InLine } from "./forecast.ts";

/** By priority: urgent texts live for minutes, the others for hours. */
const SLOT_MS: readonly number[] = [5_000, 60_000, 60_000];
/** Texts to one number are counted in so many places: two numbers may share one and only make it look fuller. */
const RECIPIENT_PLACES = 32_768;

interface Slot {
  count: number;
  stepsMs: number;
}

/** Those of one priority. */
class Lane {
  readonly #slotMs: number;
  readonly #slots = new Map<number, Slot>();
  /** Keys in rising order. */
  #order: number[] = [];
  readonly #recipients = new Uint32Array(RECIPIENT_PLACES);
  totalMs = 0;
  count = 0;

  constructor(slotMs: number) {
    this.#slotMs = slotMs;
  }

  add({ nextMs, recipient }: InLine, stepMs: number): void {
    const key = Math.floor(nextMs / this.#slotMs);
    const slot = this.#slots.get(key);
    if (slot === undefined) this.#insert(key, { count: 1, stepsMs: stepMs });
    else {
      slot.count += 1;
      slot.stepsMs += stepMs;
    }
    this.totalMs += stepMs;
    this.count += 1;
    this.#recipients[placeOf(recipient)] = this.recipientCount(recipient) + 1;
  }

  /** How long its text was is not known any more: the slot's mean goes. */
  remove({ nextMs, recipient }: Pick<InLine, "nextMs" | "recipient">): void {
    const key = Math.floor(nextMs / this.#slotMs);
    const slot = this.#slots.get(key);
    if (slot === undefined) return;
    const meanMs = slot.stepsMs / slot.count;
    slot.count -= 1;
    this.count -= 1;
    slot.stepsMs -= meanMs;
    this.totalMs = Math.max(0, this.totalMs - meanMs);
    const place = placeOf(recipient);
    this.#recipients[place] = Math.max(0, (this.#recipients[place] ?? 0) - 1);
    if (slot.count > 0) return;
    this.#slots.delete(key);
    this.#order.splice(this.#find(key), 1);
  }

  recipientCount(recipient: string): number {
    return this.#recipients[placeOf(recipient)] ?? 0;
  }

  /** Slots that begin by `dueMs`, the latest first. */
  *downFrom(dueMs: number): Generator<{ startMs: number; stepsMs: number }> {
    const last = Math.floor(dueMs / this.#slotMs);
    for (let at = this.#find(last + 1) - 1; at >= 0; at -= 1) {
      const key = this.#order[at] ?? 0;
      yield { startMs: key * this.#slotMs, stepsMs: this.#slots.get(key)?.stepsMs ?? 0 };
    }
  }

  #insert(key: number, slot: Slot): void {
    this.#slots.set(key, slot);
    this.#order.splice(this.#find(key), 0, key);
  }

  /** Where this key stands, or would. */
  #find(key: number): number {
    let low = 0;
    let high = this.#order.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#order[middle] ?? 0) < key) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

function placeOf(recipient: string): number {
  let hash = 0;
  for (let at = 0; at < recipient.length; at += 1) {
    hash = (Math.imul(hash, 31) + recipient.charCodeAt(at)) | 0;
  }
  return (hash >>> 0) % RECIPIENT_PLACES;
}

export class LineLoad {
  readonly #waiting: () => Iterable<InLine>;
  readonly #stepMs: (textLength: number) => number;
  /** Null until somebody asks. */
  #lanes: Lane[] | null = null;

  /** `waiting`: all that waits now, for the first question and after a rollback. */
  constructor(waiting: () => Iterable<InLine>, stepMs: (textLength: number) => number) {
    this.#waiting = waiting;
    this.#stepMs = stepMs;
  }

  added(one: InLine): void {
    if (this.#lanes !== null) this.#lane(one.priority).add(one, this.#stepMs(one.textLength));
  }

  removed(one: Pick<InLine, "priority" | "nextMs" | "recipient">): void {
    if (this.#lanes !== null) this.#lane(one.priority).remove(one);
  }

  /** What is remembered may be wrong. */
  forget(): void {
    this.#lanes = null;
  }

  /** When a phone that is free at `startMs` is through with what may go before `dueMs` and is as urgent. */
  throughMs(priority: number, dueMs: number, startMs: number): number {
    const lanes = this.#ready().slice(0, priority + 1);
    let leftMs = lanes.reduce((sum, { totalMs }) => sum + totalMs, 0);
    let laterMs = 0;
    let throughMs = startMs;
    // From the latest slot down: the phone is busy without a pause from the slot on that makes it latest.
    for (const { startMs: slotMs, stepsMs } of merged(lanes.map((lane) => lane.downFrom(dueMs)))) {
      laterMs += stepsMs;
      throughMs = Math.max(throughMs, slotMs + laterMs);
      leftMs = Math.max(0, leftMs - stepsMs);
      if (slotMs + laterMs + leftMs <= throughMs && startMs + laterMs + leftMs <= throughMs) {
        return throughMs;
      }
    }
    return Math.max(throughMs, startMs + laterMs);
  }

  /** All that wait and are as urgent, now or later. */
  count(priority: number): number {
    const lanes = this.#ready().slice(0, priority + 1);
    return lanes.reduce((sum, { count }) => sum + count, 0);
  }

  /** At most so many texts as urgent wait for this number; a few others may be among them. */
  recipientCount(priority: number, recipient: string): number {
    const lanes = this.#ready().slice(0, priority + 1);
    return lanes.reduce((sum, lane) => sum + lane.recipientCount(recipient), 0);
  }

  #lane(priority: number): Lane {
    const lane = this.#ready()[priority];
    if (lane === undefined) throw new Error("invariant broken: a priority without a lane");
    return lane;
  }

  #ready(): Lane[] {
    if (this.#lanes !== null) return this.#lanes;
    const lanes = SLOT_MS.map((slotMs) => new Lane(slotMs));
    for (const one of this.#waiting()) lanes[one.priority]?.add(one, this.#stepMs(one.textLength));
    this.#lanes = lanes;
    return lanes;
  }
}

/** Of several falling sequences one. */
function* merged(
  sources: Iterator<{ startMs: number; stepsMs: number }>[],
): Generator<{ startMs: number; stepsMs: number }> {
  const heads = sources.map((source) => source.next());
  for (;;) {
    let latest = -1;
    for (const [index, head] of heads.entries()) {
      if (head.done === true) continue;
      const best = heads[latest];
      if (latest < 0 || best?.done === true || head.value.startMs > (best?.value.startMs ?? 0)) {
        latest = index;
      }
    }
    const taken = heads[latest];
    const source = sources[latest];
    if (taken === undefined || taken.done === true || source === undefined) return;
    yield taken.value;
    heads[latest] = source.next();
  }
}
