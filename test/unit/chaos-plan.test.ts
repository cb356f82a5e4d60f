/** The plan of faults is a function of its seed and leaves no kind of fault out. */
import { describe, expect, it } from "vitest";
import { Chance } from "../chaos/chance.ts";
import { chaosOptions, readOptions } from "../chaos/options.ts";
import {
  ACCOUNTS,
  faultKinds,
  HOSTS,
  isKill,
  planFaults,
  RESTRICTED_ACCOUNTS,
} from "../chaos/plan.ts";

function planOf(seed: number, kills: number) {
  return planFaults(chaosOptions({ seed, kills, isPaced: false, recoveryRounds: 0 }));
}

describe("the plan of faults", () => {
  it("is the same for the same seed and another for another", () => {
    expect(planOf(7, 200)).toEqual(planOf(7, 200));
    expect(planOf(7, 200)).not.toEqual(planOf(8, 200));
  });

  it("has as many kills as asked for, in order of time, and every kind of fault", () => {
    for (const kills of [20, 200]) {
      for (const seed of [1, 2, 3]) {
        const steps = planOf(seed, kills);
        expect(steps.filter(({ fault }) => isKill(fault.kind))).toHaveLength(kills);
        expect(steps.map(({ atMs }) => atMs)).toEqual(
          steps.map(({ atMs }) => atMs).toSorted((a, b) => a - b),
        );
        const kinds = new Set(steps.map(({ fault }) => fault.kind));
        expect(faultKinds().filter((kind) => !kinds.has(kind))).toEqual([]);
      }
    }
  });

  it("names only victims that there are, and closes new chats only of those who have none", () => {
    for (const { fault } of planOf(5, 200)) {
      expect(fault.target).toBeGreaterThanOrEqual(0);
      const victims =
        fault.kind.startsWith("host") || fault.kind.startsWith("bridge") ? HOSTS : ACCOUNTS;
      expect(fault.target).toBeLessThan(victims);
      if (fault.code === 463) expect(fault.target).toBeLessThan(RESTRICTED_ACCOUNTS);
    }
  });

  it("replaces no phone twice, which would stop it for good", () => {
    const replaced = planOf(1, 1_000).filter(({ fault }) => fault.kind === "whatsapp_replaced");
    expect(replaced.map(({ fault }) => fault.target).toSorted((a, b) => a - b)).toEqual(
      Array.from({ length: ACCOUNTS }, (_, account) => account),
    );
  });
});

describe("chance", () => {
  it("repeats by seed and name, and is spread evenly", () => {
    const draws = (seed: number, name: string) => {
      const chance = new Chance(seed, name);
      return Array.from({ length: 10_000 }, () => chance.next());
    };
    expect(draws(1, "a")).toEqual(draws(1, "a"));
    expect(draws(1, "a")).not.toEqual(draws(1, "b"));
    const tenths = Map.groupBy(draws(1, "a"), (drawn) => Math.floor(drawn * 10));
    for (let tenth = 0; tenth < 10; tenth += 1) {
      expect(tenths.get(tenth)?.length).toBeGreaterThan(850);
      expect(tenths.get(tenth)?.length).toBeLessThan(1_150);
    }
  });
});

describe("the command line", () => {
  it("takes kills, seed and pacing, and refuses what it does not know", () => {
    expect(readOptions(["--kills", "200", "--seed", "3", "--pacing", "on"])).toMatchObject({
      kills: 200,
      seed: 3,
      isPaced: true,
    });
    for (const wrong of [["--kill", "3"], ["--kills"], ["--kills", "0"], ["--pacing", "maybe"]]) {
      expect(() => readOptions(wrong)).toThrow("npm run chaos");
    }
  });
});
