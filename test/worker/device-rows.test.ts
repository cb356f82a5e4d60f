/** What one text costs in rows of the object's storage, from acceptance to the end of retention. */
import { runInDurableObject } from "cloudflare:test";
import { afterEach, expect, it, vi } from "vitest";
import type { Device } from "../../src/device/device.ts";
import { configure } from "./device-events-support.ts";
import { newEndpoint } from "./endpoint-support.ts";
import {
  enqueue,
  holdInBooks,
  messageTo,
  newDevice,
  pairedHost,
  passTime,
  rowsOf,
  type TestDevice,
  untilBooked,
} from "./device-support.ts";

/** 13 of its own: row with two indexes 3, commit 1 + 2 session rows + 1 sequence, sent, received, read, flush, body, delete. */
const ROWS_MAX = 14;
const ALARMS_MAX = 3;
const DAY_MS = 24 * 3_600_000;

afterEach(() => {
  vi.restoreAllMocks();
  vi.useRealTimers();
});

/** Counts rows written, by SQLite's own count, and alarms set from here on. */
async function countWrites(device: TestDevice): Promise<{ rows: number; alarms: number }> {
  const counts = { rows: 0, alarms: 0 };
  await runInDurableObject(device.stub, (_device: Device, state) => {
    const { sql } = state.storage;
    const exec = sql.exec.bind(sql);
    vi.spyOn(sql, "exec").mockImplementation((query: string, ...values: SqlStorageValue[]) => {
      const cursor = exec(query, ...values);
      counts.rows += cursor.rowsWritten;
      return cursor;
    });
    const setAlarm = state.storage.setAlarm.bind(state.storage);
    vi.spyOn(state.storage, "setAlarm").mockImplementation(async (at) => {
      counts.alarms += 1;
      await setAlarm(at);
    });
  });
  return counts;
}

it("one text costs few rows over its whole life", async () => {
  const device = await newDevice();
  const host = await pairedHost(device);
  const counts = await countWrites(device);
  const message = messageTo();
  await holdInBooks(device, message);
  await enqueue(device, message);
  const command = await host.command("send");
  await host.commitFor(command);
  await host.ack(command);
  await untilBooked(message.id, ["hold", "settle"]);
  await host.receipt(command, "delivered");
  await host.receipt(command, "read");
  expect(counts.alarms).toBeLessThanOrEqual(ALARMS_MAX);

  await passTime(device, DAY_MS + 1);
  const bodies = await rowsOf(device, "SELECT body FROM outbox WHERE id = ?", message.id);
  expect(bodies).toEqual([{ body: null }]);
  await passTime(device, 35 * DAY_MS);
  expect(await rowsOf(device, "SELECT id FROM outbox WHERE id = ?", message.id)).toEqual([]);
  const retentionRuns = 3;
  expect(counts.rows).toBeLessThanOrEqual(ROWS_MAX + retentionRuns + GREETING_ROWS);
});

it("an endpoint that hears of it adds its three events, once written and once deleted, and what it acknowledged", async () => {
  const device = await newDevice();
  const endpoint = await newEndpoint();
  vi.spyOn(globalThis, "fetch").mockImplementation(async () => new Response("ok"));
  await configure(device, [endpoint]);
  const host = await pairedHost(device);
  const counts = await countWrites(device);
  const message = messageTo();
  await holdInBooks(device, message);
  await enqueue(device, message);
  const command = await host.command("send");
  await host.commitFor(command);
  await host.ack(command);
  await untilBooked(message.id, ["hold", "settle"]);
  await host.receipt(command, "delivered");
  await host.receipt(command, "read");
  await passTime(device, DAY_MS + 1);
  await passTime(device, 35 * DAY_MS);
  // The events of the pairing go as well: two, one of which stays as the last number.
  const events = 3 + 3 + 2;
  const acknowledged = 3;
  const retentionRuns = 3;
  expect(counts.rows).toBeLessThanOrEqual(
    ROWS_MAX + retentionRuns + GREETING_ROWS + events + acknowledged,
  );
});

/** The greeting of the same phone is cleared and deleted beside it, and its end is not flushed. */
const GREETING_ROWS = 2;

it("a text that never was delivered keeps its body for 14 days, a message that is not final for ever", async () => {
  const device = await newDevice();
  const host = await pairedHost(device);
  const nowMs = Date.now();
  const [sent, scheduled] = [
    messageTo(),
    messageTo("6281234500001", { dueMs: nowMs + 60 * DAY_MS, expiresMs: nowMs + 61 * DAY_MS }),
  ];
  for (const message of [sent, scheduled]) await holdInBooks(device, message);
  await enqueue(device, sent, scheduled);
  const command = await host.command("send");
  await host.commitFor(command);
  await host.ack(command);
  await untilBooked(sent.id, ["hold", "settle"]);
  const bodies = async () =>
    rowsOf(device, "SELECT id, body IS NOT NULL AS kept FROM outbox WHERE id > 0 ORDER BY due_ms");
  await passTime(device, 13 * DAY_MS);
  expect(await bodies()).toEqual([
    { id: sent.id, kept: 1 },
    { id: scheduled.id, kept: 1 },
  ]);
  await passTime(device, DAY_MS + 1);
  expect(await bodies()).toEqual([
    { id: sent.id, kept: 0 },
    { id: scheduled.id, kept: 1 },
  ]);
  await passTime(device, 35 * DAY_MS);
  expect(await bodies()).toEqual([{ id: scheduled.id, kept: 1 }]);
});
