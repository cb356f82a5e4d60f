/**
 * Who may import whom. `domain` <- `bridge` <- `device`, `fleet` <- `gateway` <- `api`; `endpoint` does without the
 * bridge; `endpoint` and `alerts` post by way of `outgoing`; `billing` and `directory` sit on `db`; a session host sees the bridge and the domain only. A folder always
 * sees itself.
 */
import { describe, expect, it } from "vitest";
import { importsOf, readSources, type Source } from "./sources.ts";

interface Rule {
  /** Folders (with a slash at the end) or single files of ours. */
  ours: readonly string[];
  /** Packages; a name with a colon may end in `*`. */
  packages: readonly string[];
}

const DOMAIN = "src/domain/";
const BRIDGE = "src/bridge/";
const DB = "src/db/";
const BILLING = "src/billing/";
const DIRECTORY = "src/directory/";
const GATEWAY = "src/gateway/";
const DEVICE_DOOR = ["src/device/client.ts", "src/device/interface.ts"];
const ENDPOINT_DOOR = ["src/endpoint/client.ts", "src/endpoint/interface.ts"];
const OBJECT = "src/object/";
const OUTGOING = "src/outgoing/";
const RESTORE_DOOR = ["src/restore/client.ts", "src/restore/interface.ts"];
const TOMBSTONES_DOOR = ["src/tombstones/client.ts", "src/tombstones/interface.ts"];
const ALERTS_DOOR = ["src/alerts/client.ts", "src/alerts/interface.ts"];
const FLEET_DOOR = ["src/fleet/client.ts", "src/fleet/interface.ts"];
const CONFIG = "src/config.ts";

/** The first entry whose key begins a file's path holds for it. */
const RULES: Record<string, Rule> = {
  "src/index.ts": { ours: ["src/"], packages: [] },
  "src/app.ts": { ours: ["src/"], packages: ["hono"] },
  "src/env.d.ts": { ours: ["src/"], packages: [] },
  "src/config.ts": { ours: [], packages: ["zod"] },
  "src/domain/": { ours: [], packages: ["libphonenumber-js", "temporal-polyfill", "zod"] },
  "src/bridge/": { ours: [DOMAIN], packages: ["zod"] },
  "src/db/": { ours: [DOMAIN], packages: ["drizzle-orm"] },
  "src/billing/": {
    ours: [DB, DOMAIN],
    packages: ["drizzle-orm", "zod"],
  },
  "src/directory/": {
    ours: [DB, DOMAIN, "src/device/interface.ts", "src/billing/message-end.ts"],
    packages: ["drizzle-orm", "zod"],
  },
  "src/device/": {
    ours: [BRIDGE, BILLING, DIRECTORY, DB, DOMAIN, CONFIG, ...FLEET_DOOR, ...ENDPOINT_DOOR],
    packages: ["cloudflare:workers", "node:buffer", "node:crypto", "zod"],
  },
  "src/outgoing/": { ours: [DOMAIN, CONFIG], packages: ["standardwebhooks"] },
  "src/object/": { ours: [DOMAIN], packages: [] },
  "src/alerts/": { ours: [OUTGOING, OBJECT, DOMAIN, CONFIG], packages: ["cloudflare:workers"] },
  "src/tombstones/": { ours: [OBJECT, DOMAIN], packages: ["cloudflare:workers"] },
  "src/restore/": {
    ours: [OBJECT, DIRECTORY, DOMAIN, "src/billing/reposting.ts", ...DEVICE_DOOR],
    packages: ["cloudflare:workers"],
  },
  "src/endpoint/": {
    ours: [OUTGOING, DIRECTORY, DOMAIN, CONFIG],
    packages: ["cloudflare:workers"],
  },
  "src/fleet/": {
    ours: [BRIDGE, DOMAIN, CONFIG, ...DEVICE_DOOR],
    packages: ["cloudflare:workers", "zod"],
  },
  "src/gateway/": {
    ours: [
      BILLING,
      DIRECTORY,
      DB,
      DOMAIN,
      CONFIG,
      ...DEVICE_DOOR,
      ...FLEET_DOOR,
      ...ENDPOINT_DOOR,
      ...RESTORE_DOOR,
      ...TOMBSTONES_DOOR,
      "src/outgoing/mailer.ts",
    ],
    packages: ["drizzle-orm", "node:crypto", "zod"],
  },
  "src/api/bridge.ts": {
    ours: [BRIDGE, DOMAIN, "src/fleet/client.ts", "src/device/client.ts", "src/api/environment.ts"],
    packages: ["hono"],
  },
  "src/api/services.ts": {
    ours: [
      GATEWAY,
      BILLING,
      DIRECTORY,
      DB,
      DOMAIN,
      CONFIG,
      ...FLEET_DOOR,
      ...DEVICE_DOOR,
      ...ENDPOINT_DOOR,
      ...ALERTS_DOOR,
      ...RESTORE_DOOR,
      ...TOMBSTONES_DOOR,
    ],
    packages: ["hono"],
  },
  "src/api/legacy/": apiRule(),
  "src/api/v1/": apiRule(),
  "src/api/operator/": apiRule(["src/alerts/digest.ts", "src/restore/interface.ts"]),
  "src/api/": { ours: [GATEWAY, DOMAIN], packages: ["hono", "zod"] },
  "session-host/baileys": hostRule(["@whiskeysockets/baileys", "libsignal", "ws"]),
  "session-host/simulator/": {
    ours: [],
    packages: [
      "@hono/node-server",
      "@whiskeysockets/baileys",
      "hono",
      "libsignal",
      "uqr",
      "ws",
      "zod",
      "node:*",
    ],
  },
  "session-host/local/": {
    ours: [BRIDGE, DOMAIN, "session-host/"],
    packages: [
      "esbuild",
      "hono",
      "@hono/node-server",
      "miniflare",
      "uqr",
      "wrangler",
      "zod",
      "node:*",
    ],
  },
  "session-host/": hostRule(["@hono/node-server", "hono", "pino", "prom-client", "ws"]),
};

/** The three wires share what lies directly in `src/api/` and never see each other. */
function apiRule(besides: readonly string[] = []): Rule {
  const shared = /^src\/api\/[a-z-]+\.ts$/.source;
  return {
    ours: [GATEWAY, DOMAIN, `/${shared}/`, ...besides],
    packages: ["hono", "@hono/zod-openapi", "zod"],
  };
}

function hostRule(packages: readonly string[]): Rule {
  return {
    ours: [BRIDGE, DOMAIN, "/^session-host/(?!simulator/|local/)/"],
    packages: [...packages, "zod", "node:*"],
  };
}

function ruleOf(path: string): [string, Rule] | undefined {
  return Object.entries(RULES).find(([start]) => path.startsWith(start));
}

function matches(target: string, allowed: string): boolean {
  if (allowed.startsWith("/")) return new RegExp(allowed.slice(1, -1)).test(target);
  if (allowed.endsWith("*")) return target.startsWith(allowed.slice(0, -1));
  return allowed.endsWith("/") ? target.startsWith(allowed) : target === allowed;
}

/** Imports of a file that its folder may not make. */
function forbiddenImports(source: Source): string[] {
  const found = ruleOf(source.path);
  if (found === undefined) return [`${source.path} lies in a folder without an import rule`];
  const [start, rule] = found;
  const allowed = [...rule.ours, ...rule.packages];
  // Below `session-host/` lie the simulator and the local start, which the host itself must not see.
  if (start.endsWith("/") && start !== "session-host/") allowed.push(start);
  return importsOf(source)
    .filter((target) => !allowed.some((one) => matches(target, one)))
    .map((target) => `${source.path} imports ${target}`);
}

function asIf(path: string, text: string): Source {
  return { path, text };
}

describe("imports", () => {
  it("go only where the design allows", () => {
    const sources = readSources(["src", "session-host"]);
    expect(sources.length).toBeGreaterThan(50);
    expect(sources.flatMap(forbiddenImports)).toEqual([]);
  });

  it("name the file with its ending, relative to the importing one", () => {
    const sources = readSources(["src", "session-host", "test"]);
    const loose = sources.flatMap((source) =>
      importsOf(source)
        .filter((target) => /^(src|session-host|test)\//.test(target))
        .filter((target) => !/\.(ts|json|html|sql)$/.test(target))
        .map((target) => `${source.path} imports ${target}`),
    );
    expect(loose).toEqual([]);
  });
});

describe("the import rule", () => {
  it("sees every form of import", () => {
    const text = `
      import "../gateway/a.ts";
      import type { B } from "../gateway/b.ts";
      import {
        c,
      } from "../gateway/c.ts";
      export { d } from "../gateway/d.ts";
      const e = await import("../gateway/e.ts");
      // import { f } from "../gateway/f.ts";
    `;
    const found = forbiddenImports(asIf("src/device/x.ts", text));
    expect(found.map((one) => one.slice(-4)).toSorted()).toEqual([
      "a.ts",
      "b.ts",
      "c.ts",
      "d.ts",
      "e.ts",
    ]);
  });

  it("keeps the domain pure, the gateway off the wire and the wires apart", () => {
    const cases: [string, string][] = [
      ["src/domain/x.ts", `import { Hono } from "hono";`],
      ["src/domain/x.ts", `import { DurableObject } from "cloudflare:workers";`],
      ["src/domain/x.ts", `import { readFile } from "node:fs";`],
      ["src/domain/x.ts", `import { z } from "../bridge/wire.ts";`],
      ["src/gateway/x.ts", `import { Hono } from "hono/tiny";`],
      ["src/gateway/x.ts", `import { app } from "../api/v1/app.ts";`],
      ["src/gateway/x.ts", `import { Outbox } from "../device/outbox.ts";`],
      ["src/api/v1/x.ts", `import { y } from "../legacy/y.ts";`],
      ["src/api/legacy/x.ts", `import { y } from "../operator/y.ts";`],
      ["src/api/v1/x.ts", `import { ledger } from "../../billing/ledger.ts";`],
      ["src/fleet/x.ts", `import { Outbox } from "../device/outbox.ts";`],
      ["session-host/x.ts", `import { Fleet } from "../src/fleet/fleet.ts";`],
      ["session-host/x.ts", `import makeWASocket from "@whiskeysockets/baileys";`],
      ["session-host/x.ts", `import { start } from "./simulator/simulator.ts";`],
      ["session-host/simulator/x.ts", `import { Store } from "../store.ts";`],
      ["session-host/local/x.ts", `import { app } from "../../src/app.ts";`],
    ];
    for (const [path, text] of cases) {
      expect(forbiddenImports(asIf(path, text)), `${path}: ${text}`).toHaveLength(1);
    }
  });

  it("lets a folder see itself and what lies below it", () => {
    const cases: [string, string][] = [
      ["src/gateway/x.ts", `import { deviceClient } from "../device/client.ts";`],
      ["src/api/v1/x.ts", `import { services } from "../services.ts";`],
      ["src/api/v1/x.ts", `import { y } from "./y.ts";`],
      ["session-host/x.ts", `import { y } from "./baileys/y.ts";`],
      ["session-host/baileys/x.ts", `import makeWASocket from "@whiskeysockets/baileys";`],
    ];
    for (const [path, text] of cases) expect(forbiddenImports(asIf(path, text))).toEqual([]);
  });
});
