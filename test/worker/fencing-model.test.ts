/**
 * The real Fleet and Device objects against hosts that come late, come twice, share a token, keep old sockets and old
 * tickets, and commit out of turn, while objects restart and time passes. Whatever they do, key writes come from one
 * epoch at a time, in sequence, and no message is ever released for the same attempt twice.
 */
import fc from "fast-check";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { rowsOf } from "./device-support.ts";
import { anyStep, Model, type Taken } from "./fencing-steps.ts";

const RUNS = 25;
const SEED = Date.now() % 2 ** 31;

/** One epoch at a time, each its own host's, each without a gap; each attempt of a message released once. */
function expectOneWriterAtATime(taken: readonly Taken[]): void {
  const epochs = taken.map(({ epoch }) => epoch);
  expect(epochs).toEqual(epochs.toSorted((one, other) => one - other));
  for (const epoch of new Set(epochs)) {
    const own = taken.filter((one) => one.epoch === epoch);
    expect(new Set(own.map(({ by }) => by)).size).toBe(1);
    expect(own.map(({ seq }) => seq)).toEqual(own.map((_, at) => at + 1));
  }
  const released = taken.flatMap(({ message }) => message ?? []);
  const attempts = released.map(({ id, attempt }) => `${id} ${attempt}`);
  expect(attempts).toEqual([...new Set(attempts)]);
  for (const { id, attempt } of released) {
    if (attempt > 1) expect(attempts).toContain(`${id} ${attempt - 1}`);
    expect(attempt).toBeLessThanOrEqual(2);
  }
}

async function expectRowsAgree({ device, taken }: Model): Promise<void> {
  const rows = await rowsOf<{ id: number; copies: number }>(
    device,
    "SELECT id, committed_attempt AS copies FROM outbox WHERE id > 0",
  );
  for (const { id, copies } of rows) {
    expect(taken.filter(({ message }) => message?.id === id)).toHaveLength(copies);
  }
}

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["Date"] });
});

afterEach(() => {
  vi.useRealTimers();
});

it("takes keys of one epoch at a time and releases no attempt twice, whatever hosts do", async () => {
  const total = { taken: 0, released: 0, refused: 0 };
  await fc.assert(
    fc.asyncProperty(
      fc.array(anyStep, { minLength: 20, maxLength: 45, size: "max" }),
      async (steps) => {
        const model = await Model.make();
        for (const step of steps) await model.act(step);
        expect(model.faults).toEqual([]);
        expectOneWriterAtATime(model.taken);
        await expectRowsAgree(model);
        expect(await model.endsWell()).toBe(true);
        total.taken += model.taken.length;
        total.released += model.taken.filter(({ message }) => message !== null).length;
        total.refused += model.refused;
      },
    ),
    { numRuns: RUNS, seed: SEED },
  );
  console.info(`fencing model: seed ${SEED}, ${RUNS} runs, ${JSON.stringify(total)}`);
  // An idle run proves nothing.
  expect(Math.min(total.released, total.refused)).toBeGreaterThan(0);
  expect(total.taken).toBeGreaterThan(RUNS);
}, 120_000);
