/** What runs, and whether it is stopped, as the system's process table says. */
import { spawnSync } from "node:child_process";

/** True once a SIGSTOP has taken effect: from then on the process does nothing at all. */
export function isStopped(pid: number): boolean {
  const { stdout } = spawnSync("ps", ["-o", "stat=", "-p", String(pid)], { encoding: "utf8" });
  return stdout.trim().startsWith("T");
}

/** Living processes of this name in the process group of another. */
export function processesOf(groupPid: number, name: string): number[] {
  const { stdout } = spawnSync("ps", ["-A", "-o", "pid=,pgid=,stat=,comm="], { encoding: "utf8" });
  return stdout.split("\n").flatMap((line) => {
    const [pid, pgid, stat, comm] = line.trim().split(/\s+/);
    const isOne = Number(pgid) === groupPid && comm === name && stat?.startsWith("Z") === false;
    return isOne ? [Number(pid)] : [];
  });
}
