/**
 * Processor time of a part and whatever it started, from Linux's process table: steadier than time on the clock
 * where other work shares the machine. Answers null on other systems.
 */
import { readdirSync, readFileSync } from "node:fs";

const MS_PER_TICK = 10;
/** Places in /proc/<pid>/stat behind the program's name. */
const PGRP = 2;
const USER_TICKS = 11;
const SYSTEM_TICKS = 12;

/** `leaderPid` leads the process group. */
export function processorMs(leaderPid: number): number | null {
  if (process.platform !== "linux") return null;
  const ticks = readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map((name) => statOf(name))
    .filter((fields) => Number(fields[PGRP]) === leaderPid)
    .reduce((sum, fields) => sum + Number(fields[USER_TICKS]) + Number(fields[SYSTEM_TICKS]), 0);
  return ticks * MS_PER_TICK;
}

function statOf(pid: string): string[] {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    return stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  } catch {
    // It ended while we were reading.
    return [];
  }
}
