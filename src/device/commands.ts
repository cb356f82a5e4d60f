/**
 * Commands on their way to the host, in the order of their numbers. Each leaves only after everything written
 * before it is durable, and is built anew at that moment, because the world may have changed meanwhile.
 */
import type { Command } from "../bridge/device-frames.ts";
import type { Identity } from "./identity.ts";
import type { Bridge } from "./socket.ts";

/** Null when the command is void by now. */
export type BuildCommand = () => { epoch: number; seq: number; command: Command } | null;

export class Commands {
  readonly #identity: Identity;
  readonly #bridge: Bridge;
  readonly #sync: () => Promise<void>;
  readonly #background: (work: Promise<void>) => void;
  readonly #waiting: BuildCommand[] = [];
  #isSending = false;

  constructor(
    identity: Identity,
    bridge: Bridge,
    sync: () => Promise<void>,
    background: (work: Promise<void>) => void,
  ) {
    this.#identity = identity;
    this.#bridge = bridge;
    this.#sync = sync;
    this.#background = background;
  }

  push(build: BuildCommand): void {
    this.#waiting.push(build);
    if (this.#isSending) return;
    this.#isSending = true;
    this.#background(this.#sendAll());
  }

  async #sendAll(): Promise<void> {
    try {
      while (this.#waiting.length > 0) {
        const builds = this.#waiting.splice(0);
        await this.#sync();
        await Promise.all(builds.map(async (build) => this.#send(build)));
      }
    } finally {
      this.#isSending = false;
    }
  }

  async #send(build: BuildCommand): Promise<void> {
    const built = build();
    if (built === null || built.epoch !== this.#identity.state.epoch) return;
    const socket = this.#bridge.current(built.epoch);
    if (socket === null) return;
    await this.#bridge.send(socket, { t: "command", seq: built.seq, command: built.command });
  }
}
