/**
 * Every call to D1 passes the seam, has a deadline, and stands in docs/limits.md with what becomes of it when D1 fails. A
 * call is recognised by what runs a statement; it must lie within the brackets of a function that asks.
 */
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { readSources } from "./sources.ts";

/** Runs a statement of D1, or begins a query of drizzle. */
const RUNS = /(?<!Promise)\.(?:batch|first|all|run|raw)(?:<[^(]*>)?\(|\bbooks\(db\)/g;

/** Their own deadlines are round about the call: the accepting batches and the ends of messages. */
const OWN_DEADLINES: Record<string, string> = {
  accept: "src/gateway/decide.ts",
  prove_acceptance: "src/gateway/decide.ts",
  accept_test: "src/gateway/test-accept.ts",
  record_ends: "src/device/flush.ts",
};

const PAGE = readFileSync(new URL("../../docs/limits.md", import.meta.url).pathname, "utf8");

const sources = readSources(["src"]).filter(
  ({ text, path }) =>
    path !== "src/db/ask.ts" &&
    !path.startsWith("src/device/") &&
    /D1Database|books\(|\.DB\b/.test(text),
);

/** What each match in code lies in: the names before the open brackets. Matches in comments and texts are left out. */
function calledIn(text: string, pattern: RegExp): { at: number; names: string[] }[] {
  const starts = new Set([...text.matchAll(pattern)].map(({ index }) => index));
  const found: { at: number; names: string[] }[] = [];
  const open: string[] = [];
  for (let at = 0; at < text.length; at += 1) {
    const skipped = endOfText(text, at);
    if (skipped !== null) {
      at = skipped;
      continue;
    }
    if (starts.has(at)) found.push({ at, names: [...open] });
    if (text[at] === "(") open.push(/(\w+)(?:<[^(]*>)?$/.exec(text.slice(0, at))?.[1] ?? "");
    else if (text[at] === ")") open.pop();
  }
  return found;
}

/** The last character of the comment or text that begins here; null when none does. */
function endOfText(text: string, at: number): number | null {
  const two = text.slice(at, at + 2);
  if (two === "//") return text.indexOf("\n", at);
  if (two === "/*") return text.indexOf("*/", at) + 1;
  const quote = text[at] ?? "";
  if (quote !== '"' && quote !== "`") return null;
  let end = at + 1;
  while (end < text.length && text[end] !== quote) end += text[end] === "\\" ? 2 : 1;
  return end;
}

interface Call {
  path: string;
  kind: "askD1" | "askD1Once" | "cross";
  name: string;
}

function callsOf(code: string, path: string): Call[] {
  const asked = Array.from(
    code.matchAll(/\b(askD1(?:Once)?)(?:<[^(]*>)?\(\s*"(\w+)"/g),
    (match) => ({
      path,
      kind: match[1] as "askD1" | "askD1Once",
      name: match[2] ?? "",
    }),
  );
  const crossed = Array.from(code.matchAll(/\bcross\(\s*"d1",\s*"(\w+)"/g), (match) => ({
    path,
    kind: "cross" as const,
    name: match[1] ?? "",
  }));
  return [...asked, ...crossed];
}

const calls = sources.flatMap(({ path, text }) => callsOf(text, path));

/** `| `name` | … |` rows of the section. */
const rows = (PAGE.split("\n## Calls to D1\n")[1]?.split("\n## ")[0] ?? "")
  .split("\n")
  .filter((line) => line.startsWith("| `"))
  .map((line) => ({
    names: Array.from((line.split("|")[1] ?? "").matchAll(/`(\w+)`/g), (match) => match[1] ?? ""),
    tries: (line.split("|")[2] ?? "").trim(),
  }));

describe("calls to D1", () => {
  it("pass the seam and have a deadline", () => {
    const loose = sources.flatMap(({ path, text }) =>
      calledIn(text, RUNS)
        .filter(({ names }) => !names.some((name) => /^(askD1|askD1Once|cross)$/.test(name)))
        .map(({ at }) => `${path}:${text.slice(0, at).split("\n").length}`),
    );
    expect(loose).toEqual([]);
    expect(calls.length).toBeGreaterThan(50);
  });

  it("have their own deadline only where it is known to stand", () => {
    const own = calls.filter(({ kind }) => kind === "cross").map(({ name }) => name);
    expect(own.toSorted()).toEqual(Object.keys(OWN_DEADLINES).toSorted());
    for (const path of Object.values(OWN_DEADLINES)) {
      expect(readFileSync(new URL(`../../${path}`, import.meta.url).pathname, "utf8")).toContain(
        "withDeadline(",
      );
    }
  });

  it("stand in docs/limits.md, each once, and say there how often they are tried", () => {
    expect(rows.flatMap(({ names }) => names).toSorted()).toEqual(
      [...new Set(calls.map(({ name }) => name))].toSorted(),
    );
    const once = new Set(calls.filter(({ kind }) => kind === "askD1Once").map(({ name }) => name));
    const wrong = rows.flatMap(({ names, tries }) =>
      names.filter((name) => !(name in OWN_DEADLINES) && once.has(name) !== (tries === "once")),
    );
    expect(wrong).toEqual([]);
  });

  it("are made by a device only through the functions that others keep", () => {
    const asking = readSources(["src/device"]).filter(({ text }) =>
      /\.DB\.|\.prepare\(/.test(text),
    );
    expect(asking.map(({ path }) => path)).toEqual([]);
  });

  it("are seen by this test wherever they hide", () => {
    const code = `
      const a = await db.prepare("x").first();
      const b = await askD1("b", () => db.prepare("(").first<{ n: number }>());
      const c = await askD1Once("c", async () => books(db).select());`;
    const found = calledIn(code, RUNS).map(({ names }) =>
      names.some((name) => name.startsWith("askD1")),
    );
    expect(found).toEqual([false, true, true]);
  });
});
