/** When waiting messages are said to leave: by the pace, one after the other, and never later than they expire. */
import { describe, expect, it } from "vitest";
import type { MessageToEnqueue } from "../../src/device/interface.ts";
import { newRow } from "../../src/device/message-row.ts";
import { Pace } from "../../src/device/pace.ts";
import { viewQueue } from "../../src/device/queue-view.ts";

const NOW_MS = 1_800_000_000_000;

function waiting(id: number, over: Partial<MessageToEnqueue> = {}) {
  return newRow(
    {
      id,
      nonce: "n",
      to: `62813100010${String(id).padStart(2, "0")}`,
      text: "x".repeat(40),
      category: "notification",
      priceRupiah: 200,
      periodId: 1,
      acceptedMs: NOW_MS,
      dueMs: NOW_MS,
      expiresMs: NOW_MS + 86_400_000,
      ...over,
    },
    1,
  );
}

function expected(rows: ReturnType<typeof waiting>[], status: "connected" | "reconnecting") {
  const pace = new Pace(true, (count) => new Uint8Array(count));
  const outbox = { inOrder: () => rows, waitingCount: () => rows.length };
  const { messages } = viewQueue({ identity: { state: { status } }, outbox, pace }, 100, NOW_MS);
  return messages.map(({ expectedAtMs }) => (expectedAtMs === null ? null : expectedAtMs - NOW_MS));
}

describe("a waiting message", () => {
  it("leaves after those before it, a step of the pace apart", () => {
    const [first, second, third] = expected([waiting(1), waiting(2), waiting(3)], "connected");
    expect(first).toBe(0);
    expect(second).toBeGreaterThan(2_500);
    expect(second).toBeLessThan(7_000);
    expect(third).toBeGreaterThanOrEqual(2 * Number(second) - 1);
  });

  it("to the same recipient waits at least six seconds", () => {
    const to = "6281310001001";
    const [, second] = expected([waiting(1, { to }), waiting(2, { to })], "connected");
    expect(second).toBeGreaterThanOrEqual(6_000);
  });

  it("for later leaves when it is due", () => {
    const dueMs = NOW_MS + 3_600_000;
    expect(expected([waiting(1), waiting(2, { dueMs })], "connected")[1]).toBe(3_600_000);
    expect(expected([waiting(2, { dueMs })], "reconnecting")).toEqual([3_600_000]);
  });

  it("has no time while the phone is away, and none past its end", () => {
    expect(expected([waiting(1), waiting(2)], "reconnecting")).toEqual([null, null]);
    const expiresMs = NOW_MS + 1_000;
    expect(expected([waiting(1), waiting(2, { expiresMs })], "connected")[1]).toBe(1_000);
  });
});
