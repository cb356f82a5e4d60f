/**
 * `npm run chaos`: real processes under load, killed, frozen, cut off and lied to by a plan drawn from the seed; then
 * the load's own record is compared with phones, books and webhooks. Ends with 1 when anything is wrong.
 */
import { writeFileSync } from "node:fs";
import { systemClock } from "../../src/domain/clock.ts";
import { machineLine } from "../bench/machine.ts";
import { readOptions } from "./options.ts";
import type { ChaosOptions } from "./options.ts";
import { reportOf } from "./report.ts";
import { runChaos } from "./run.ts";

const print = (line: string): boolean => process.stdout.write(`${line}\n`);

function optionsOrEnd(): ChaosOptions {
  try {
    return readOptions(process.argv.slice(2));
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
    process.exit(2);
  }
}

const options = optionsOrEnd();
print(`${new Date(systemClock()).toISOString()}  ${machineLine()}`);
const outcome = await runChaos(options, print);
print("");
print(reportOf(outcome));
const logPath = process.env["CHAOS_LOG"];
if (logPath !== undefined) {
  writeFileSync(logPath, outcome.output);
  writeFileSync(`${logPath}.whatsapp`, outcome.whatsappLines.join("\n"));
  const endings = outcome.seen.tenants.flatMap((one) => one.endings);
  writeFileSync(`${logPath}.endings`, endings.map((one) => JSON.stringify(one)).join("\n"));
}
process.exitCode = outcome.wrong.length === 0 ? 0 : 1;
