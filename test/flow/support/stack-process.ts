/**
 * One process of a stack: killed, frozen, resumed and started again by a test, with everything it ever wrote kept.
 * It never restarts by itself: what happens to a process in a test is what the test did.
 */
import { Part } from "../../../session-host/local/part.ts";
import type { PartExit, PartSpec } from "../../../session-host/local/part.ts";

const STOP_GRACE_MS = 5_000;

export class StackProcess {
  readonly #spec: PartSpec;
  readonly #onMessage: (message: unknown) => void;
  #part: Part;
  #output = "";

  constructor(spec: PartSpec, onMessage: (message: unknown) => void = () => undefined) {
    this.#spec = spec;
    this.#onMessage = onMessage;
    this.#part = this.#launch();
  }

  get pid(): number {
    return this.#part.pid;
  }

  /** Everything written to stdout and stderr so far, over all its lives. */
  get output(): string {
    return this.#output;
  }

  get exited(): Promise<PartExit> {
    return this.#part.exited;
  }

  /** kill -9, the process and what it had started; ends when it is gone. */
  async kill(): Promise<void> {
    this.#part.signal("SIGKILL");
    await this.#part.exited;
  }

  /** SIGSTOP: it neither runs nor notices, its sockets stay open. */
  freeze(): void {
    this.#part.signal("SIGSTOP");
  }

  resume(): void {
    this.#part.signal("SIGCONT");
  }

  /** SIGTERM, as an operator or platform asks; ends when it is gone. */
  terminate(): Promise<PartExit> {
    return this.#part.stop(STOP_GRACE_MS);
  }

  tell(message: object): void {
    this.#part.tell(message);
  }

  /** Starts it again with the same settings, after it was killed or terminated. */
  launchAgain(): void {
    this.#part = this.#launch();
  }

  #launch(): Part {
    const keep = (chunk: Buffer): void => {
      this.#output += chunk.toString("utf8");
    };
    return new Part(this.#spec, keep, this.#onMessage);
  }
}
