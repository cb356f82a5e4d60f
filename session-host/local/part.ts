/**
 * One part of a local start as a child process: how it is launched, asked to stop, and made to stop. It runs in a
 * process group of its own, so that Ctrl-C in the terminal reaches only the supervisor, which stops the parts in
 * order. Whether a part is started again is decided elsewhere (supervised-part.ts).
 */
import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";

export type PartName = "worker" | "simulator" | "host";

export interface PartSpec {
  name: PartName;
  /** The program, a file that Node runs. */
  script: string;
  /** Added to this process's own environment. */
  env: Record<string, string>;
}

export interface PartExit {
  code: number | null;
  signal: NodeJS.Signals | null;
}

const END_WITH_PARENT = new URL("./end-with-parent.ts", import.meta.url).href;

export class Part {
  readonly pid: number;
  readonly exited: Promise<PartExit>;
  readonly #child: ChildProcess;

  /** `onOutput` gets everything it writes; `onMessage` what it sends over the pipe between the two processes. */
  constructor(
    spec: PartSpec,
    onOutput: (chunk: Buffer) => void,
    onMessage: (message: unknown) => void,
  ) {
    this.#child = spawn(process.execPath, ["--import", END_WITH_PARENT, spec.script], {
      stdio: ["ignore", "pipe", "pipe", "ipc"],
      env: { ...process.env, ...spec.env },
      detached: true,
    });
    this.pid = this.#child.pid ?? 0;
    this.exited = new Promise((resolve) => {
      this.#child.once("error", () => resolve({ code: 1, signal: null }));
      this.#child.once("exit", (code, signal) => resolve({ code, signal }));
    });
    // What the part itself had started goes with it.
    void this.exited.then(() => this.signal("SIGKILL"));
    this.#child.stdout?.on("data", onOutput);
    this.#child.stderr?.on("data", onOutput);
    this.#child.on("message", onMessage);
  }

  /** Signals the part and whatever it started. */
  signal(signal: NodeJS.Signals): void {
    if (this.pid === 0) return;
    if (process.platform === "win32") {
      this.#child.kill(signal);
      return;
    }
    try {
      process.kill(-this.pid, signal);
    } catch (error) {
      // ESRCH: nothing is left; EPERM: what macOS says of a group that only holds the dead.
      const code = (error as NodeJS.ErrnoException).code;
      if (code !== "ESRCH" && code !== "EPERM") throw error;
    }
  }

  /** Over the pipe between the two processes. */
  tell(message: object): void {
    this.#child.send(message);
  }

  /** Asks it to end, and after `graceMs` no longer asks. */
  async stop(graceMs: number): Promise<PartExit> {
    if (this.#child.exitCode === null && this.#child.signalCode === null)
      this.#child.kill("SIGTERM");
    const timer = setTimeout(() => this.signal("SIGKILL"), graceMs);
    const exit = await this.exited;
    clearTimeout(timer);
    return exit;
  }
}

/** "exit code 1" or "SIGKILL", for a sentence. */
export function describeExit(exit: PartExit): string {
  return exit.signal ?? `exit code ${exit.code ?? 1}`;
}
