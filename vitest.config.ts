/**
 * Test projects: `unit` and `session-host` run in Node, `worker` inside workerd with real D1 and objects,
 * `flow` starts the parts as separate processes, `browser` drives Chromium. What watches processes and clocks mostly
 * waits: three files at a time keep two cores busy, and what they wait for has a minute to come.
 */
import { cloudflareTest, readD1Migrations } from "@cloudflare/vitest-pool-workers";
import { defineConfig } from "vitest/config";
import { BaseSequencer } from "vitest/node";
import type { TestSpecification } from "vitest/node";

const FIXED_KEY = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
/** Public half of the proof key that a host derives from FIXED_KEY as its seal key. */
const FIXED_KEY_PROOF = "tTVFVSVgYH8NfuoPxe5ZH9LGUM7AO6oX6xishWMlsBc=";

/** What the Worker imports from outside: bundled once, not loaded file by file into workerd. */
const LIBRARIES = [
  "@hono/zod-openapi",
  "drizzle-orm",
  "drizzle-orm/d1",
  "drizzle-orm/sqlite-core",
  "hono",
  "hono/route",
  "hono/utils/url",
  "libphonenumber-js/mobile",
  "standardwebhooks",
  "zod",
];

/**
 * What fails on two busy cores is tried once more before it counts as broken; the report names whatever needed it, and
 * that is looked into. All properties of a process have one seed, so what one of them has found stays found.
 */
const RETRY = 1;
const SEED = "test/support/drawn-seed.ts";

/** They take a minute or more: what starts last must be short, or it runs alone. */
const LONG = /\/(chaos|start|retry-request|host-storm|legacy-properties|v1-properties)\.test\.ts$/;

class LongFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const isLong = ({ moduleId }: TestSpecification): boolean => LONG.test(moduleId);
    return [...files.filter(isLong), ...files.filter((file) => !isLong(file))];
  }
}

export default defineConfig({
  test: {
    sequence: { sequencer: LongFirst },
    // The log lines of the parts are shown where a test failed.
    silent: "passed-only",
    projects: [
      {
        test: {
          name: "unit",
          retry: RETRY,
          setupFiles: [SEED],
          isolate: false,
          sequence: { groupOrder: 0 },
          include: ["test/unit/**/*.test.ts", "test/architecture/**/*.test.ts"],
        },
      },
      {
        plugins: [
          cloudflareTest(async () => ({
            wrangler: { configPath: "./wrangler.toml" },
            miniflare: {
              email: {
                send_email: [{ name: "EMAIL", allowed_sender_addresses: ["kabar@firm.co.id"] }],
              },
              bindings: {
                TEST_MIGRATIONS: await readD1Migrations("./migrations"),
                BODY_KEY: FIXED_KEY,
                FINGERPRINT_KEY: FIXED_KEY,
                /** SHA-256 of "operator-token-for-tests". */
                OPERATOR_TOKEN_HASH:
                  "534125de141542e27a3668e21ce0ad7a4820c1a76d97a5d098b1c7df6eca3f1d",
                SEAL_PROOFS: JSON.stringify({ k1: FIXED_KEY_PROOF }),
                PACING: "off",
                WEBHOOK_LOOPBACK: "allow",
                FLUSH_DELAY_MS: "0",
                REQUEST_LOG_DELAY_MS: "0",
              },
            },
          })),
        ],
        test: {
          name: "worker",
          retry: RETRY,
          maxWorkers: 3,
          // One workerd for many files, wiped before each: starting it and loading the modules takes seconds.
          isolate: false,
          deps: { optimizer: { ssr: { enabled: true, include: LIBRARIES } } },
          sequence: { groupOrder: 1 },
          include: ["test/worker/**/*.test.ts"],
          testTimeout: 30_000,
          hookTimeout: 30_000,
          setupFiles: [SEED, "test/worker/setup.ts"],
          globalSetup: ["test/worker/support/receiver-process.ts"],
        },
      },
      {
        test: {
          name: "session-host",
          retry: RETRY,
          setupFiles: [SEED],
          maxWorkers: 3,
          sequence: { groupOrder: 2 },
          include: ["test/session-host/**/*.test.ts"],
          testTimeout: 30_000,
          hookTimeout: 30_000,
        },
      },
      {
        test: {
          name: "flow",
          retry: RETRY,
          env: { NODE_COMPILE_CACHE: "node_modules/.cache/compiled" },
          maxWorkers: 3,
          sequence: { groupOrder: 2 },
          include: ["test/flow/**/*.test.ts"],
          testTimeout: 240_000,
          hookTimeout: 120_000,
          globalSetup: ["test/flow/support/prepared-sources.ts"],
        },
      },
      {
        test: {
          name: "browser",
          retry: RETRY,
          maxWorkers: 1,
          sequence: { groupOrder: 3 },
          include: ["test/browser/**/*.test.ts"],
          testTimeout: 60_000,
          hookTimeout: 60_000,
          fileParallelism: false,
        },
      },
    ],
  },
});
