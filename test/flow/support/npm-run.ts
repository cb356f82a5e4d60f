/**
 * `npm start` and `npm run send` as a person types them: a process of its own with its own state folder, its output
 * kept, Ctrl-C as a terminal sends it. Judges nothing.
 */
import { spawn, spawnSync } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { StateFolder } from "../../../session-host/local/state-folder.ts";
import type { DevFile } from "../../../session-host/local/state-folder.ts";
import { systemRandomBytes } from "../../../src/domain/id.ts";

const PROJECT = resolve(import.meta.dirname, "../../..");

export interface Exit {
  code: number | null;
  signal: NodeJS.Signals | null;
}

export class NpmRun {
  readonly exited: Promise<Exit>;
  readonly #child: ChildProcess;
  readonly #watchers = new Set<() => void>();
  #output = "";
  #ended = false;

  constructor(args: readonly string[], env: Record<string, string>) {
    this.#child = spawn("npm", args, {
      cwd: PROJECT,
      env: { ...process.env, NO_COLOR: "", ...env },
      stdio: ["ignore", "pipe", "pipe"],
      detached: true,
    });
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      stream?.on("data", (chunk: Buffer) => {
        this.#output += chunk.toString("utf8");
        for (const look of this.#watchers) look();
      });
    }
    this.exited = new Promise((done) => {
      this.#child.once("close", (code, signal) => {
        this.#ended = true;
        done({ code, signal });
        for (const look of this.#watchers) look();
      });
    });
  }

  /** Both streams, in the order they came. */
  get output(): string {
    return this.#output;
  }

  /** Ends when the output has it; fails with the whole output when it ends or stays without it. */
  async says(what: string, timeoutMs: number): Promise<void> {
    const { promise, resolve: done, reject } = Promise.withResolvers<void>();
    const complain = (why: string): void =>
      reject(new Error(`${why} without saying "${what}"; it said:\n${this.#output}`));
    const look = (): void => {
      if (this.#output.includes(what)) done();
      else if (this.#ended) complain("it ended");
    };
    const timer = setTimeout(() => complain(`${timeoutMs} ms passed`), timeoutMs);
    this.#watchers.add(look);
    look();
    try {
      await promise;
    } finally {
      clearTimeout(timer);
      this.#watchers.delete(look);
    }
  }

  /** What a terminal does: SIGINT to npm and everything in its process group. */
  async ctrlC(): Promise<Exit> {
    this.signal("SIGINT");
    return this.exited;
  }

  signal(signal: NodeJS.Signals): void {
    if (!this.#ended && this.#child.pid !== undefined) process.kill(-this.#child.pid, signal);
  }
}

/** A state folder of a test's own; removed with everything that still runs from it. */
export class KabarFolder {
  readonly path = mkdtempSync(join(tmpdir(), "kabar-start-"));
  readonly #runs: NpmRun[] = [];

  /** `npm start` on free ports. */
  start(env: Record<string, string> = {}): NpmRun {
    return this.#run(["start", "--silent"], { PORT: "0", SIMULATOR_PORT: "0", ...env });
  }

  send(number: string, text: string): NpmRun {
    return this.#run(["run", "send", "--silent", "--", number, text], {});
  }

  dev(): DevFile {
    const dev = new StateFolder(this.path, systemRandomBytes).devFile();
    if (dev === null) throw new Error("there is no dev.json");
    return dev;
  }

  file(name: string): string {
    return join(this.path, name);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const run of this.#runs) run.signal("SIGTERM");
    await Promise.all(this.#runs.map((run) => run.exited));
    rmSync(this.path, { recursive: true, force: true });
  }

  #run(args: readonly string[], env: Record<string, string>): NpmRun {
    const run = new NpmRun(args, { KABAR_DATA: this.path, ...env });
    this.#runs.push(run);
    return run;
  }
}

/** Living processes of the process groups that these processes lead: the parts and what they started. */
export function livingOf(pids: readonly (number | null)[]): string[] {
  const { stdout } = spawnSync("ps", ["-A", "-o", "pgid=,stat=,args="], { encoding: "utf8" });
  return stdout.split("\n").filter((line) => {
    const [pgid, stat] = line.trim().split(/\s+/);
    return pids.includes(Number(pgid)) && stat?.startsWith("Z") === false;
  });
}
