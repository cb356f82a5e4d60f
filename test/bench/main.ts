/**
 * `npm run bench`: measures the product on this machine beside what it could be at best there, and says which goals
 * are met. Absolute figures depend on the machine; the goals are ratios and counts. Ends with 1 when one is missed.
 */
import { benchAccept } from "./accept.ts";
import { benchBadInput } from "./bad-input.ts";
import { benchCounts } from "./counts.ts";
import { benchFlood } from "./flood.ts";
import { benchHost } from "./host-pace.ts";
import { benchLongQueue } from "./long-queue.ts";
import { machineLine } from "./machine.ts";
import { benchMemory } from "./memory.ts";
import { readOptions } from "./options.ts";
import type { Options, SectionName } from "./options.ts";
import { benchRequestLog } from "./request-log.ts";
import { writeResults } from "./results-file.ts";
import { isMet, printed } from "./report.ts";
import type { Section } from "./report.ts";
import { benchWebhooks } from "./webhooks.ts";

const BENCHES: Record<SectionName, (options: Options) => Promise<Section>> = {
  accept: benchAccept,
  log: benchRequestLog,
  queue: benchLongQueue,
  flood: benchFlood,
  counts: benchCounts,
  host: benchHost,
  memory: benchMemory,
  badinput: benchBadInput,
  webhooks: benchWebhooks,
};

const print = (text: string): boolean => process.stdout.write(`${text}\n`);

function optionsOrEnd(): Options {
  try {
    return readOptions(process.argv.slice(2));
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
    process.exit(2);
  }
}

const options = optionsOrEnd();
print(machineLine());
const sections: Section[] = [];
for (const name of options.sections) {
  const section = await BENCHES[name](options);
  sections.push(section);
  print(printed(section));
}
if (options.write) await writeResults(sections, machineLine());
const missed = sections.flatMap((section) => section.goals).filter((goal) => !isMet(goal));
print(missed.length === 0 ? "\nEvery goal is met." : `\n${missed.length} goals are missed.`);
process.exitCode = missed.length === 0 ? 0 : 1;
