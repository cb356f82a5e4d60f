/** Whoever is called at night finds every alert in docs/operations.md, and no alert there that nothing raises. */
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { hostAlertKinds } from "../../src/bridge/host-alerts.ts";
import { codeOf, readSources } from "./sources.ts";

const PAGE = readFileSync(new URL("../../docs/operations.md", import.meta.url).pathname, "utf8");

/** The first cells of a table below a heading: what stands between backticks, several in one cell included. */
function rowsBelow(heading: string): string[] {
  const section = PAGE.split(`\n## ${heading}\n`)[1]?.split("\n## ")[0] ?? "";
  return section
    .split("\n")
    .filter((line) => line.startsWith("| `"))
    .flatMap((line) =>
      Array.from((line.split(" | ")[0] ?? "").matchAll(/`([^`]+)`/g), (m) => m[1] ?? ""),
    );
}

const sources = readSources(["src"]).filter(({ path }) => path !== "src/domain/log.ts");
const raised = sources.flatMap((source) =>
  Array.from(codeOf(source).matchAll(/\blogAlert\(\s*"([^"]+)"/g), (match) => match[1] ?? ""),
);
/** Calls, and whatever else is done with the function; imports aside. */
const uses = sources.flatMap((source) => {
  const code = codeOf(source).replaceAll(/^import [^;]*;$/gm, "");
  return [...code.matchAll(/\blogAlert\b/g)];
});

describe("docs/operations.md", () => {
  it("has a row for every alert, and none for what is no alert", () => {
    expect(rowsBelow("What an alert means").toSorted()).toEqual([...new Set(raised)].toSorted());
  });

  it("has a row for every kind of alert of a session host", () => {
    expect(rowsBelow("Alerts of session hosts").toSorted()).toEqual([...hostAlertKinds].toSorted());
  });

  it("can be checked: the message of an alert is always a literal", () => {
    expect(raised).toHaveLength(uses.length);
  });
});
