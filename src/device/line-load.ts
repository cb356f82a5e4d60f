/**
 * How much work waits before a moment, kept as sums, so that nobody has to read a long queue to judge one message. Built from
 * the queue once, then kept in step with it. Memory only; no I/O, no clock. To the width of a slot it is an estimate.
 */
import { invariant } from "../domain/result.ts";
import type { InLine } from "./forecast.ts";
import { SlotSums } from "./slot-sums.ts";

/** By priority: urgent texts live for minutes, the others for hours. */
const SLOT_MS: readonly number[] = [5_000, 60_000, 60_000];
/** Texts to one number are counted in so many places: two numbers may share one and only make it look fuller. */
const RECIPIENT_PLACES = 32_768;

/** What a text of one priority waits for: all that are as urgent or more. */
class Lane {
  readonly sums: SlotSums;
  readonly #recipients = new Uint32Array(RECIPIENT_PLACES);
  count = 0;

  constructor(slotMs: number) {
    this.sums = new SlotSums(slotMs);
  }

  add({ nextMs, recipient }: InLine, stepMs: number): void {
    this.sums.add(nextMs, stepMs);
    this.count += 1;
    this.#recipients[placeOf(recipient)] = this.recipientCount(recipient) + 1;
  }

  remove({ nextMs, recipient }: Pick<InLine, "nextMs" | "recipient">): void {
    this.sums.remove(nextMs);
    this.count -= 1;
    this.#recipients[placeOf(recipient)] = Math.max(0, this.recipientCount(recipient) - 1);
  }

  recipientCount(recipient: string): number {
    return this.#recipients[placeOf(recipient)] ?? 0;
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
    const stepMs = this.#lanes === null ? 0 : this.#stepMs(one.textLength);
    for (const lane of this.#lanes?.slice(one.priority) ?? []) lane.add(one, stepMs);
  }

  removed(one: Pick<InLine, "priority" | "nextMs" | "recipient">): void {
    for (const lane of this.#lanes?.slice(one.priority) ?? []) lane.remove(one);
  }

  /** What is remembered may be wrong. */
  forget(): void {
    this.#lanes = null;
  }

  /** When a phone that is free at `startMs` is through with what may go before `dueMs` and is as urgent. */
  throughMs(priority: number, dueMs: number, startMs: number): number {
    const { stepsMs, throughMs } = this.#lane(priority).sums.upTo(dueMs);
    return Math.max(startMs + stepsMs, throughMs);
  }

  /** All that wait and are as urgent, now or later. */
  count(priority: number): number {
    return this.#lane(priority).count;
  }

  /** At most so many texts as urgent wait for this number; a few others may be among them. */
  recipientCount(priority: number, recipient: string): number {
    return this.#lane(priority).recipientCount(recipient);
  }

  #lane(priority: number): Lane {
    if (this.#lanes === null) {
      this.#lanes = SLOT_MS.map((slotMs) => new Lane(slotMs));
      for (const one of this.#waiting()) this.added(one);
    }
    const lane = this.#lanes[priority];
    invariant(lane !== undefined, "a priority has a lane");
    return lane;
  }
}
