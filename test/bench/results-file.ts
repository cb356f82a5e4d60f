/** docs/bench.md: what was measured last, with its date and machine, below an introduction written by hand. */
import { readFile, writeFile } from "node:fs/promises";
import { resolve } from "node:path";
import { systemClock } from "../../src/domain/clock.ts";
import { markdown } from "./report.ts";
import type { Section } from "./report.ts";

const FILE = resolve(import.meta.dirname, "../../docs/bench.md");
const MARK = "<!-- Below this line `npm run bench -- --write` writes. -->";

export async function writeResults(sections: readonly Section[], machine: string): Promise<void> {
  const [introduction] = (await readFile(FILE, "utf8")).split(MARK);
  const date = new Date(systemClock()).toISOString().slice(0, 10);
  const parts = [
    `${introduction?.trimEnd() ?? ""}\n\n${MARK}`,
    `Measured on ${date}: ${machine}.`,
    ...sections.map(markdown),
  ];
  await writeFile(FILE, `${parts.join("\n\n")}\n`);
}
