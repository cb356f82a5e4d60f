/**
 * Test projects: `unit` and `session-host` run in Node, `worker` inside workerd with real D1 and objects,
 * `flow` starts the parts as separate processes, `browser` drives Chromium. One group after the other: what watches
 * processes and clocks has the machine to itself.
 */
import { cloudflareTest, readD1Migrations } from "@cloudflare/vitest-pool-workers";
import { defineConfig } from "vitest/config";

const FIXED_KEY = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
/** Public half of the proof key that a host derives from FIXED_KEY as its seal key. */
const FIXED_KEY_PROOF = "tTVFVSVgYH8NfuoPxe5ZH9LGUM7AO6oX6xishWMlsBc=";

export default defineConfig({
  test: {
    // The log lines of the parts are shown where a test failed.
    silent: "passed-only",
    projects: [
      {
        test: {
          name: "unit",
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
          maxWorkers: 2,
          sequence: { groupOrder: 1 },
          include: ["test/worker/**/*.test.ts"],
          setupFiles: ["test/worker/setup.ts"],
          globalSetup: ["test/worker/support/receiver-process.ts"],
        },
      },
      {
        test: {
          name: "session-host",
          maxWorkers: 1,
          sequence: { groupOrder: 2 },
          include: ["test/session-host/**/*.test.ts"],
          testTimeout: 30_000,
          hookTimeout: 30_000,
        },
      },
      {
        test: {
          name: "flow",
          maxWorkers: 1,
          sequence: { groupOrder: 3 },
          include: ["test/flow/**/*.test.ts"],
          testTimeout: 60_000,
          hookTimeout: 60_000,
          fileParallelism: false,
        },
      },
      {
        test: {
          name: "browser",
          maxWorkers: 1,
          sequence: { groupOrder: 4 },
          include: ["test/browser/**/*.test.ts"],
          testTimeout: 60_000,
          hookTimeout: 60_000,
          fileParallelism: false,
        },
      },
    ],
  },
});
