/**
 * The short chaos run: twenty kills and twice as many other faults under load, then the load's own record compared with
 * phones, books and webhooks. `npm run chaos` runs longer ones.
 */
import { expect, test } from "vitest";
import { chaosOptions } from "../chaos/options.ts";
import { reportOf } from "../chaos/report.ts";
import { runChaos } from "../chaos/run.ts";

const SEED = 1;
const KILLS = 20;

test(
  "twenty kills among every other fault lose nothing, double nothing and cost nothing",
  { timeout: 400_000 },
  async () => {
    const options = chaosOptions({ seed: SEED, kills: KILLS, isPaced: false, recoveryRounds: 0 });
    const outcome = await runChaos(options, (line) => process.stdout.write(`${line}\n`));
    process.stdout.write(`${reportOf(outcome)}\n`);
    expect(outcome.wrong).toEqual([]);
    expect(outcome.kills).toBe(KILLS);
    expect(outcome.record.accepted().length).toBeGreaterThan(100);
    expect(outcome.evidence.ciphertexts).toBeGreaterThan(0);
  },
);
