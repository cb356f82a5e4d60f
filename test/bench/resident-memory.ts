/** Resident memory of a part's programs of one name, from the process table. */
import { execFileSync } from "node:child_process";

/** `leaderPid` leads the process group; of all programs in it whose name begins so, in MiB. */
export function residentMib(leaderPid: number, name: string): number {
  const table = execFileSync("ps", ["-e", "-o", "pgid=,rss=,comm="], { encoding: "utf8" });
  const kibibytes = table
    .split("\n")
    .map((line) => line.trim().split(/\s+/))
    .filter(([pgid, , command]) => Number(pgid) === leaderPid && command?.startsWith(name) === true)
    .reduce((sum, [, rss]) => sum + Number(rss), 0);
  return kibibytes / 1024;
}
