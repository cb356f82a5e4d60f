/**
 * Makes sure that workerd never outlives this process: a named pipe whose write end this process holds and whose
 * closing run-workerd.sh waits for. Where there are no named pipes it does nothing.
 */
import { execFileSync } from "node:child_process";
import { mkdirSync, openSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { join, resolve } from "node:path";

/** The workerd that Miniflare brings along, wherever npm put it. */
function workerdPath(): string {
  const fromMiniflare = createRequire(import.meta.resolve("miniflare"));
  const workerd = fromMiniflare("workerd") as { default: string };
  return workerd.default;
}

/** Must be called before workerd is started. `folder` is where the pipe is made. */
export function holdLifeline(folder: string): void {
  if (process.platform === "win32") return;
  mkdirSync(folder, { recursive: true });
  const pipePath = join(folder, "lifeline");
  rmSync(pipePath, { force: true });
  execFileSync("mkfifo", ["-m", "600", pipePath], { stdio: "ignore" });
  // For reading too, because opening only for writing would wait for a reader. Open until this process ends.
  openSync(pipePath, "r+");
  process.env["KABAR_LIFELINE"] = pipePath;
  process.env["KABAR_WORKERD"] = workerdPath();
  process.env["MINIFLARE_WORKERD_PATH"] = resolve(import.meta.dirname, "run-workerd.sh");
}
