/** A device with a very long queue: each message is told once, portion by portion, and the forecast keeps in step. */
import { afterEach, expect, it, vi } from "vitest";
import type { MessageToEnqueue } from "../../src/device/interface.ts";
import { configure } from "./device-events-support.ts";
import {
  messageTo,
  newDevice,
  passTime,
  rowsOf,
  type TestDevice,
  unwrap,
} from "./device-support.ts";

const START = "2031-03-03T03:14:15Z";
const HOUR_MS = 3_600_000;

afterEach(() => vi.useRealTimers());

/** Accepted in groups of one moment, as requests bring them; due in the coming hours. */
async function fill(device: TestDevice, groups: readonly number[]): Promise<number> {
  const nowMs = Date.now();
  let count = 0;
  for (const [index, size] of groups.entries()) {
    const messages: MessageToEnqueue[] = Array.from({ length: size }, (_, n) => {
      count += 1;
      const dueMs = nowMs + HOUR_MS + (n % 100) * 60_000;
      const times = {
        acceptedMs: nowMs - groups.length + index,
        dueMs,
        expiresMs: dueMs + 24 * HOUR_MS,
      };
      return messageTo(`62813${String(10_000_000 + count)}`, times);
    });
    await unwrap(device.stub.enqueue(device.identity, messages));
  }
  return count;
}

async function pendingTold(device: TestDevice): Promise<{ all: number; different: number }> {
  const [row] = await rowsOf<{ all: number; different: number }>(
    device,
    `SELECT count(*) AS "all", count(DISTINCT ref) AS different FROM events WHERE type = 'message.pending'`,
  );
  return row ?? { all: 0, different: 0 };
}

it("tells of every message that waits, once, in portions, also when one moment brought more than a portion", async () => {
  vi.setSystemTime(START);
  const device = await newDevice();
  await configure(device, [], { keepsEvents: true });
  const count = await fill(device, [400, 900, 1_300, 5, 120]);
  await passTime(device, 61_000);
  const first = await pendingTold(device);
  expect(first.all).toBeGreaterThan(0);
  expect(first.all).toBeLessThan(count);
  for (let portion = 0; portion < 8; portion += 1) await passTime(device, 1_000);
  expect(await pendingTold(device)).toEqual({ all: count, different: count });
  for (let minute = 0; minute < 3; minute += 1) await passTime(device, 60_000);
  expect(await pendingTold(device)).toEqual({ all: count, different: count });
}, 60_000);
