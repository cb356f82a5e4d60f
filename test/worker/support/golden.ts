/**
 * Golden files: the raw text of an answer, compared as text. What differs from run to run stands in the file as a
 * named blank, filled in by the test.
 */
import { expect } from "vitest";

declare global {
  interface ImportMeta {
    /** Vite reads the files when it builds the test: workerd has no file system of ours. */
    glob: <T>(pattern: string, options: object) => Record<string, T>;
  }
}

const golden = import.meta.glob<string>("../../golden/*.json", {
  query: "?raw",
  import: "default",
  eager: true,
});

export function expectGolden(name: string, raw: string, blanks: Record<string, string> = {}): void {
  const file = golden[`../../golden/${name}.json`];
  expect(file, `golden file ${name}`).toBeDefined();
  let filled = (file ?? "").trimEnd();
  for (const [blank, value] of Object.entries(blanks)) filled = filled.replaceAll(blank, value);
  expect(raw).toBe(filled);
}
