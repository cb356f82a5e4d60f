/**
 * Hosts that freeze, lag, sleep, come back late, share a token and are cut off in every combination: the product's host
 * code against the product's device, in virtual time. Whatever happens, keys are taken from one host at a time and no
 * stanza leaves without its commit.
 */
import fc from "fast-check";
import { expect, test, vi } from "vitest";
import { Run } from "./simulation/run.ts";
import { anyScript, type Step } from "./simulation/script.ts";

vi.mock("ws", async () => ({
  WebSocket: (await import("./simulation/client-socket.ts")).ClientSocket,
}));
vi.mock("cloudflare:workers", () => ({
  DurableObject: class {
    readonly ctx: unknown;
    readonly env: unknown;
    constructor(ctx: unknown, env: unknown) {
      this.ctx = ctx;
      this.env = env;
    }
  },
}));
vi.mock("@whiskeysockets/baileys", async (original) => {
  const real = await original<typeof import("@whiskeysockets/baileys")>();
  const { SimSocket, simRepository } = await import("./simulation/baileys.ts");
  const encode = (text: string): Uint8Array =>
    real.proto.Message.encode({ conversation: text }).finish();
  return {
    ...real,
    makeWASocket: (config: ConstructorParameters<typeof SimSocket>[0]) => new SimSocket(config),
    DEFAULT_CONNECTION_CONFIG: {
      ...real.DEFAULT_CONNECTION_CONFIG,
      makeSignalRepository: (auth: { keys: unknown }) => simRepository(auth, encode),
    },
  };
});

/** What a host alerts that lost its epoch or its bridge in the middle of something. */
const EXPECTED = ["unreadable", "commit_refused", "commit_unanswered"];

/** More runs, and those of a failure again: its seed and path are printed with it. */
const { FENCING_RUNS, FENCING_SEED, FENCING_PATH } = process.env;
const RUNS = Number(FENCING_RUNS ?? 150);
const SEED = Number(FENCING_SEED ?? Math.floor(performance.timeOrigin) % 2 ** 31);

interface Outcome {
  faults: string[];
  left: string[];
  alerts: string[];
}

const NOTHING_WRONG: Outcome = { faults: [], left: [], alerts: [] };
const total = new Map<string, number>();

async function outcomeOf(seed: number, script: readonly Step[]): Promise<Outcome> {
  const alerts: string[] = [];
  vi.spyOn(console, "log").mockImplementation(() => undefined);
  vi.spyOn(console, "warn").mockImplementation(() => undefined);
  vi.spyOn(console, "error").mockImplementation((line: string) => void alerts.push(line));
  const run = new Run(seed);
  try {
    await run.begin();
    for (const step of script) await run.act(step);
    const left = await run.heal();
    for (const [name, count] of Object.entries(run.tally())) {
      total.set(name, (total.get(name) ?? 0) + count);
    }
    alerts.push(...run.hosts.alerts.filter((kind) => !EXPECTED.includes(kind)));
    return { faults: run.witness.faults, left, alerts };
  } finally {
    run.end();
    vi.unstubAllGlobals();
    vi.restoreAllMocks();
  }
}

test(
  "keys are taken from one host at a time, no stanza leaves without its commit, and all comes right in the end",
  async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer(), anyScript, async (seed, script) => {
        expect(await outcomeOf(seed, script)).toEqual(NOTHING_WRONG);
      }),
      {
        numRuns: RUNS,
        seed: SEED,
        ...(FENCING_PATH === undefined ? {} : { path: FENCING_PATH }),
      },
    );
    console.info(
      `fencing: seed ${SEED}, ${RUNS} runs, ${JSON.stringify(Object.fromEntries(total))}`,
    );
    if (FENCING_PATH !== undefined || RUNS < 100) return;
    const idle = [...total].filter(([, count]) => count === 0).map(([name]) => name);
    expect(idle).toEqual([]);
    expect(total.get("epochs")).toBeGreaterThan(2 * RUNS);
  },
  RUNS * 4_000,
);

test("a host that slept while another got its phone does not log in over it", async () => {
  const wire = { do: "wire", host: 0, kind: "bridge", delayMs: 50, thenMs: 0 } as const;
  const outcome = await outcomeOf(0, [
    { do: "mute", isMute: true, thenMs: 0 },
    { do: "place", host: 1, isOld: false, thenMs: 1 },
    { ...wire, how: "cut" },
    { do: "freeze", host: 0, ms: 7_000, isSuspend: false, thenMs: 0 },
    { ...wire, how: "stalled" },
    { do: "send", contact: 0, count: 1, thenMs: 3_000 },
  ]);
  expect(outcome).toEqual(NOTHING_WRONG);
});
