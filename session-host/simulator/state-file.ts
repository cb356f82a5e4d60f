/**
 * The network's lasting part in one JSON file, so that a restarted simulator still knows its linked devices, the
 * contacts' sessions, the screens and the backlog. Written beside the file and renamed, so a reader sees all or
 * nothing. Evidence, events and faults are not kept.
 */

import { mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { behaviourSchema } from "./behaviour.ts";
import type { Network } from "./network.ts";
import type { StoredPhone } from "./phone.ts";

const VERSION = 1;
const WRITE_DELAY_MS = 300;
/** A large state is written less often, so that writing takes at most a twentieth of the time. */
const REST_FACTOR = 20;

type StoredState = { version: number; behaviour: unknown; phones: StoredPhone[] };

export class StateFile {
  readonly #path: string;
  readonly #network: Network;
  #timer: NodeJS.Timeout | undefined;
  #lastWriteMs = 0;

  constructor(path: string, network: Network) {
    this.#path = path;
    this.#network = network;
  }

  /** Throws when the file is there but is not ours: starting empty would lose what it holds. */
  load(): void {
    const text = readIfThere(this.#path);
    if (text === undefined) return;
    const stored = JSON.parse(text) as StoredState;
    if (stored.version !== VERSION)
      throw new Error(`the simulator's state file has version ${stored.version}, not ${VERSION}`);
    this.#network.behaviour = behaviourSchema.parse(stored.behaviour);
    this.#network.directory.restore(stored.phones);
  }

  /** Soon; changes until then go into the same write. */
  schedule(): void {
    this.#timer ??= setTimeout(
      () => this.write(),
      Math.max(WRITE_DELAY_MS, REST_FACTOR * this.#lastWriteMs),
    );
  }

  write(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const startMs = performance.now();
    const state: StoredState = {
      version: VERSION,
      behaviour: this.#network.behaviour,
      phones: this.#network.directory.all().map((phone) => phone.stored()),
    };
    const scratch = `${this.#path}.new`;
    mkdirSync(dirname(this.#path), { recursive: true });
    writeFileSync(scratch, JSON.stringify(state), { mode: 0o600 });
    renameSync(scratch, this.#path);
    this.#lastWriteMs = performance.now() - startMs;
  }
}

function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined;
    throw error;
  }
}
