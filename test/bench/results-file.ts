/** docs/bench.md: what was measured last of each section, with its date and machine, below an introduction by hand. */
import { readFile, writeFile } from "node:fs/promises";
import { resolve } from "node:path";
import { systemClock } from "../../src/domain/clock.ts";
import { markdown } from "./report.ts";
import type { Section } from "./report.ts";

const FILE = resolve(import.meta.dirname, "../../docs/bench.md");
const MARK = "<!-- Below this line `npm run bench -- --write` writes. -->";

/** Sections that were not measured now stay as they are; new ones come after them. */
export async function writeResults(sections: readonly Section[], machine: string): Promise<void> {
  const [introduction = "", results = ""] = (await readFile(FILE, "utf8")).split(MARK);
  const date = new Date(systemClock()).toISOString().slice(0, 10);
  const kept = new Map<string, string>();
  for (const text of results.split(/^(?=## )/m).filter((part) => part.startsWith("## "))) {
    kept.set(headingOf(text), text.trim());
  }
  for (const section of sections) {
    const text = markdown(section);
    const heading = headingOf(text);
    kept.set(heading, text.replace(heading, `${heading}\n\nMeasured on ${date}: ${machine}.`));
  }
  const parts = [`${introduction.trimEnd()}\n\n${MARK}`, ...kept.values()];
  await writeFile(FILE, `${parts.join("\n\n")}\n`);
}

function headingOf(text: string): string {
  return text.split("\n", 1)[0] ?? "";
}
