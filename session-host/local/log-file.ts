/**
 * A part's output in a file of bounded size: emptied at each start, and when full kept once under `.1`. Nothing of
 * it reaches the terminal.
 */
import { closeSync, openSync, renameSync, writeSync } from "node:fs";

const LOG_BYTES_MAX = 5_000_000;

export class LogFile {
  readonly path: string;
  #descriptor: number;
  #bytes = 0;

  constructor(path: string) {
    this.path = path;
    this.#descriptor = openSync(path, "w", 0o600);
  }

  write(chunk: Buffer): void {
    if (this.#bytes + chunk.length > LOG_BYTES_MAX) this.#turn();
    writeSync(this.#descriptor, chunk);
    this.#bytes += chunk.length;
  }

  #turn(): void {
    closeSync(this.#descriptor);
    renameSync(this.path, `${this.path}.1`);
    this.#descriptor = openSync(this.path, "w", 0o600);
    this.#bytes = 0;
  }
}
