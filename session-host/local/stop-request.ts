/**
 * Everything that asks a local start to stop: Ctrl-C, a signal, the reader of its output going away, or the npm that
 * started it being gone. The second request no longer waits.
 */
import { readFileSync } from "node:fs";

const NPM_LOOK_INTERVAL_MS = 1_000;

export interface StopRequest {
  requested: Promise<void>;
  signal: AbortSignal;
  /** Called at the next request, while the stop asked for first is under way. */
  whenInsisted: (act: () => void) => void;
}

export function stopRequested(): StopRequest {
  const controller = new AbortController();
  const { promise, resolve } = Promise.withResolvers<void>();
  let insisted: () => void = () => undefined;
  const ask = (): void => {
    if (controller.signal.aborted) insisted();
    controller.abort();
    resolve();
  };
  // Not SIGHUP: a handler would undo nohup, and without one the parts end when this process does.
  for (const name of ["SIGINT", "SIGTERM"] as const) process.on(name, ask);
  process.stdout.on("error", ask);
  watchNpm(ask);
  return {
    requested: promise,
    signal: controller.signal,
    whenInsisted: (act) => {
      insisted = act;
    },
  };
}

/**
 * npm passes a SIGTERM to the shell between, which keeps it to itself, and one that was killed passes nothing. So
 * this process looks whether the shell and npm are still where they were.
 */
function watchNpm(ask: () => void): void {
  if (process.env["npm_lifecycle_event"] === undefined) return;
  const before = ancestry();
  const timer = setInterval(() => {
    if (ancestry() === before) return;
    clearInterval(timer);
    ask();
  }, NPM_LOOK_INTERVAL_MS);
  timer.unref();
}

/** Parent and, where /proc tells, grandparent. */
function ancestry(): string {
  return `${process.ppid} ${parentOf(process.ppid) ?? ""}`;
}

function parentOf(pid: number): string | undefined {
  try {
    // "pid (name) state ppid …", and the name may hold anything.
    return readFileSync(`/proc/${pid}/stat`, "utf8").split(") ").at(-1)?.split(" ")[1];
  } catch {
    // No /proc on this system, or the parent is gone: then the parent's id differs as well.
    return undefined;
  }
}
