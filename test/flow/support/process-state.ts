/** Whether a process runs or is stopped, as the system's process table says. */
import { spawnSync } from "node:child_process";

/** True once a SIGSTOP has taken effect: from then on the process does nothing at all. */
export function isStopped(pid: number): boolean {
  const { stdout } = spawnSync("ps", ["-o", "stat=", "-p", String(pid)], { encoding: "utf8" });
  return stdout.trim().startsWith("T");
}
