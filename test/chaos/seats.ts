/**
 * The session hosts of a run, each behind a wire of its own, and who may touch them when: what is killed comes back
 * after its time, and nobody is killed twice at once. Judges nothing.
 */
import { setTimeout as pause } from "node:timers/promises";
import type { Stack } from "../flow/support/stack.ts";
import type { StackProcess } from "../flow/support/stack-process.ts";
import { HOSTS } from "./plan.ts";
import { Wire } from "./wire.ts";

export interface Seat {
  process: StackProcess;
  wire: Wire;
  isUp: boolean;
}

const LOOK_MS = 50;

export class Seats {
  readonly all: readonly Seat[];
  readonly #comingBack = new Set<Promise<void>>();

  private constructor(seats: Seat[]) {
    this.all = seats;
  }

  static async open(stack: Stack): Promise<Seats> {
    const make = async (): Promise<Seat> => {
      const wire = await Wire.start(stack.url);
      return { process: await stack.addHost({ GATEWAY_URL: wire.url }), wire, isUp: true };
    };
    return new Seats(await Promise.all(Array.from({ length: HOSTS }, make)));
  }

  /** That one, or the next one that is up; waits for one. */
  async up(at: number): Promise<Seat> {
    for (;;) {
      for (let turn = 0; turn < HOSTS; turn += 1) {
        const seat = this.all[(at + turn) % HOSTS];
        if (seat?.isUp === true) return seat;
      }
      await pause(LOOK_MS);
    }
  }

  /** `end` is what becomes of it; `afterMs` later it is started again, by itself. */
  async down(
    at: number,
    afterMs: number,
    end: (process: StackProcess) => Promise<unknown>,
  ): Promise<void> {
    const seat = await this.up(at);
    seat.isUp = false;
    const back = this.#bringBack(seat, afterMs, end(seat.process));
    this.#comingBack.add(back);
    void back.finally(() => this.#comingBack.delete(back));
  }

  /** Everybody up, nobody frozen, every wire whole. */
  async allBack(): Promise<void> {
    await Promise.all(this.#comingBack);
    for (const { process, wire } of this.all) {
      process.resume();
      wire.mend();
    }
  }

  close(): void {
    for (const { wire } of this.all) wire.close();
  }

  async #bringBack(seat: Seat, afterMs: number, end: Promise<unknown>): Promise<void> {
    await end;
    await pause(afterMs);
    seat.process.launchAgain();
    seat.isUp = true;
  }
}
