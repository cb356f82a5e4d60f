/** What only one file may do, and how a file looks. Greps on code without its comments. */
import { describe, expect, it } from "vitest";
import { codeOf, readSources } from "./sources.ts";

interface Ownership {
  what: string;
  pattern: RegExp;
  owners: readonly string[];
}

const IN_THE_WORKER: readonly Ownership[] = [
  {
    what: "finds Durable Objects by name",
    pattern: /\b(?:idFromName|idFromString|newUniqueId|getByName)\(/,
    // A device and an endpoint compare their own name with the one they are told.
    owners: [
      "src/device/client.ts",
      "src/device/device.ts",
      "src/endpoint/client.ts",
      "src/endpoint/endpoint.ts",
      "src/fleet/client.ts",
      "src/object/one-object.ts",
    ],
  },
  {
    what: "sets an alarm",
    pattern: /\b(?:setAlarm|deleteAlarm)\(/,
    owners: [
      "src/device/agenda.ts",
      "src/endpoint/agenda.ts",
      "src/fleet/agenda.ts",
      // Of the Alerts, the Restore and the Tombstones object.
      "src/object/agenda.ts",
    ],
  },
  {
    what: "reads the clock",
    pattern: /\bDate\.now\b|\bnew Date\(\s*\)|\bTemporal\.Now\b|\bperformance\.now\b/,
    owners: ["src/domain/clock.ts"],
  },
  {
    what: "draws randomness",
    pattern: /\bgetRandomValues\b|\brandomUUID\b|\bMath\.random\b|\brandomInt\(/,
    owners: ["src/domain/id.ts"],
  },
  {
    what: "writes movements of money",
    pattern:
      /\b(?:insert\s+(?:or\s+\w+\s+)?into|replace\s+into)\s+"?transfers\b|\.insert\(transfers\)/i,
    owners: ["src/billing/ledger.ts", "src/billing/top-up.ts"],
  },
  {
    what: "changes or deletes a movement of money",
    pattern:
      /\bupdate\s+"?transfers\b|\bdelete\s+from\s+"?transfers\b|\.(?:update|delete)\(transfers\)/i,
    owners: [],
  },
  {
    what: "sets a cached balance, which only triggers do",
    pattern: /\bset\b[^`;]*?\b(?:available|held|owed)\s*=[^=]/i,
    owners: [],
  },
];

const IN_THE_HOST: readonly Ownership[] = [
  {
    what: "reads the clock",
    pattern: /\bDate\.now\b|\bnew Date\(\s*\)|\bperformance\.now\b|\bhrtime\b/,
    owners: ["session-host/clock.ts"],
  },
];

const LINES_MAX = 400;

function trespassers(folder: string, rules: readonly Ownership[], except: RegExp): string[] {
  return readSources([folder])
    .filter(({ path }) => !except.test(path))
    .flatMap((source) => {
      const code = codeOf(source);
      return rules
        .filter(({ owners, pattern }) => !owners.includes(source.path) && pattern.test(code))
        .map(({ what }) => `${source.path} ${what}`);
    });
}

describe("what only one file may do", () => {
  it("is done nowhere else in the Worker", () => {
    expect(trespassers("src", IN_THE_WORKER, /^$/)).toEqual([]);
  });

  it("is done nowhere else in the session host", () => {
    expect(trespassers("session-host", IN_THE_HOST, /^session-host\/(simulator|local)\//)).toEqual(
      [],
    );
  });

  it("is done by files that exist", () => {
    const paths = new Set(readSources(["src", "session-host"]).map(({ path }) => path));
    const owners = [...IN_THE_WORKER, ...IN_THE_HOST].flatMap((rule) => rule.owners);
    expect(owners.filter((owner) => !paths.has(owner))).toEqual([]);
  });
});

describe("a file", () => {
  const sources = readSources(["src", "session-host", "test"]);

  it("has at most 400 lines", () => {
    const long = sources
      .map(({ path, text }) => ({ path, lines: text.split("\n").length - 1 }))
      .filter(({ lines }) => lines > LINES_MAX);
    expect(long).toEqual([]);
  });

  it("opens by saying what it holds", () => {
    const silent = sources.filter(({ text }) => !/^(?:#!.*\n)?\/(?:\*\*|\/)/.test(text));
    expect(silent.map(({ path }) => path)).toEqual([]);
  });

  it("leaves nothing for later", () => {
    const later = sources.filter(({ text }) => /\b(?:TODO|FIXME|XXX|HACK)\b:?/.test(text));
    expect(
      later.map(({ path }) => path).filter((path) => !path.startsWith("test/architecture/")),
    ).toEqual([]);
  });
});
