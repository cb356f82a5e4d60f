/** The simulator as witness of when its server acknowledged texts of one phone, read from its events. */
import { z } from "zod";
import type { Stack } from "../flow/support/stack.ts";

const WAIT_MS = 5_000;
const IN_VAIN_MS = 60_000;

const page = z.object({ last: z.number(), events: z.array(z.object({ atMs: z.number() })) });

export class Acks {
  readonly #stack: Stack;
  readonly #phone: string;
  #seen = 0;

  private constructor(stack: Stack, phone: string) {
    this.#stack = stack;
    this.#phone = phone;
  }

  /** Hears of acknowledgements from now on. */
  static async from(stack: Stack, phone: string): Promise<Acks> {
    const acks = new Acks(stack, phone);
    for (let isPast = true; isPast;) {
      const { last, events } = await acks.#page(0);
      acks.#seen = last;
      isPast = events.length > 0;
    }
    return acks;
  }

  /** When the next `count` came, in their order. */
  async next(count: number): Promise<number[]> {
    const times: number[] = [];
    let idleMs = 0;
    while (times.length < count) {
      const { last, events } = await this.#page(WAIT_MS);
      this.#seen = last;
      times.push(...events.map(({ atMs }) => atMs));
      idleMs = events.length > 0 ? 0 : idleMs + WAIT_MS;
      if (idleMs >= IN_VAIN_MS) throw new Error(`${times.length} of ${count} texts acknowledged`);
    }
    return times;
  }

  async #page(waitMs: number): Promise<z.infer<typeof page>> {
    const path = `/events/poll?kind=ack_sent&number=${this.#phone}&after=${this.#seen}&waitMs=${waitMs}`;
    const answer = await this.#stack.control("GET", path, undefined, page);
    if (!answer.ok) throw new Error("the simulator does not answer");
    return answer.value;
  }
}
