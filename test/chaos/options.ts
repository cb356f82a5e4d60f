/** What may be said on the command line of `npm run chaos`, and what a run is made of. */
import type { PlanOptions } from "./plan.ts";

export interface ChaosOptions extends PlanOptions {
  isPaced: boolean;
  requestGapMs: number;
  inboundGapMs: number;
  aheadMaxMs: number;
  /** In real time, for messages to end before the clock is moved. */
  patienceMs: number;
  /** Single losses of each kind that are timed after the plan. */
  recoveryRounds: number;
}

const USAGE = "npm run chaos -- [--kills N] [--seed S] [--pacing on|off] [--recovery ROUNDS]";
const KILLS_MAX = 10_000;
/** From here on a run is a long one: it waits in real time as long as a customer would. */
const LONG_FROM_KILLS = 50;

/** Throws the usage for anything unknown. */
export function readOptions(args: readonly string[]): ChaosOptions {
  const said = new Map<string, string>();
  for (let at = 0; at < args.length; at += 2) {
    const [name = "", value] = args.slice(at, at + 2);
    const isKnown = ["--kills", "--seed", "--pacing", "--recovery"].includes(name);
    if (!isKnown || value === undefined) throw new Error(`not understood: ${name}; ${USAGE}`);
    said.set(name, value);
  }
  const pacing = said.get("--pacing") ?? "off";
  if (pacing !== "on" && pacing !== "off") throw new Error(`--pacing is on or off; ${USAGE}`);
  const kills = whole(said.get("--kills") ?? "20", 1, KILLS_MAX);
  return chaosOptions({
    kills,
    seed: whole(said.get("--seed") ?? "1", 0, 2 ** 32 - 1),
    isPaced: pacing === "on",
    recoveryRounds: whole(said.get("--recovery") ?? (kills < LONG_FROM_KILLS ? "0" : "1"), 0, 100),
  });
}

export function chaosOptions(
  wish: Pick<ChaosOptions, "kills" | "seed" | "isPaced" | "recoveryRounds">,
): ChaosOptions {
  const isLong = wish.kills >= LONG_FROM_KILLS;
  return {
    ...wish,
    // Denser, and no phone is back before its host is killed again: then little happens at all.
    gapMs: isLong ? 3_000 : 1_200,
    othersPerKill: isLong ? 1 : 2,
    // A phone that types like a person writes about eight texts a minute.
    requestGapMs: wish.isPaced ? 40_000 : 2_000,
    inboundGapMs: 4_000,
    aheadMaxMs: isLong ? 20_000 : 8_000,
    patienceMs: isLong ? 20_000 : 4_000,
  };
}

function whole(written: string, least: number, most: number): number {
  const value = Number(written);
  if (Number.isInteger(value) && value >= least && value <= most) return value;
  throw new Error(`${written} is no whole number from ${least} to ${most}; ${USAGE}`);
}
