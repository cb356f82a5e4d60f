/**
 * A part that is started again when it dies, after a growing pause, and said so. A part that keeps dying, or that
 * says itself that it cannot run, is given up with one sentence. It knows nothing of what the parts do.
 */
import { randomFraction } from "../../src/domain/id.ts";
import type { RandomBytes } from "../../src/domain/id.ts";
import type { Clock } from "../../src/domain/clock.ts";
import { describeExit, Part } from "./part.ts";
import type { PartExit, PartSpec } from "./part.ts";

const FIRST_PAUSE_MS = 200;
const LONGEST_PAUSE_MS = 5_000;
const DEATHS_MAX = 5;
const DEATHS_WINDOW_MS = 60_000;

export interface PartEvents {
  output: (chunk: Buffer) => void;
  message: (message: unknown) => void;
  /** It died and runs again under a new process id. */
  restarted: (exit: PartExit, pid: number) => void;
  /** It will not be started again. */
  givenUp: (sentence: string) => void;
}

export class SupervisedPart {
  readonly #spec: PartSpec;
  readonly #title: string;
  readonly #events: PartEvents;
  readonly #clock: Clock;
  readonly #random: RandomBytes;
  #part: Part | null = null;
  #deathsMs: number[] = [];
  #pause: NodeJS.Timeout | null = null;
  #stopping = false;

  constructor(
    spec: PartSpec,
    title: string,
    events: PartEvents,
    clock: Clock,
    random: RandomBytes,
  ) {
    this.#spec = spec;
    this.#title = title;
    this.#events = events;
    this.#clock = clock;
    this.#random = random;
  }

  get pid(): number {
    return this.#part?.pid ?? 0;
  }

  start(): void {
    const part = new Part(this.#spec, this.#events.output, (message) => {
      if (this.#part === part) this.#events.message(message);
    });
    this.#part = part;
    void part.exited.then((exit) => this.#died(exit));
  }

  /** Ends it for good; after `graceMs` by force. */
  async stop(graceMs: number): Promise<void> {
    this.#stopping = true;
    if (this.#pause !== null) clearTimeout(this.#pause);
    await this.#part?.stop(graceMs);
  }

  #died(exit: PartExit): void {
    if (this.#stopping) return;
    const nowMs = this.#clock();
    this.#deathsMs = [...this.#deathsMs.filter((atMs) => atMs > nowMs - DEATHS_WINDOW_MS), nowMs];
    const deaths = this.#deathsMs.length;
    if (deaths >= DEATHS_MAX) {
      this.#stopping = true;
      this.#events.givenUp(
        `The ${this.#title} ended ${deaths} times within a minute (last: ${describeExit(exit)}).`,
      );
      return;
    }
    const pauseMs = Math.min(FIRST_PAUSE_MS * 2 ** (deaths - 1), LONGEST_PAUSE_MS);
    this.#pause = setTimeout(
      () => {
        this.start();
        this.#events.restarted(exit, this.pid);
      },
      pauseMs * (0.8 + 0.4 * randomFraction(this.#random)),
    );
  }
}
