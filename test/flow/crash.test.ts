/**
 * Dies at every call that a send makes, one call after the other, and in every way a call can fail; then lets the
 * product recover and compares the client's own record with the recipient's phone and with SQL over `transfers`.
 * The number of calls is counted, not written down: a new call is covered by itself.
 */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Saboteurs } from "./support/saboteur.ts";
import { SabotagedClient } from "./support/sabotaged-client.ts";
import type { SendRecord } from "./support/sabotaged-client.ts";
import type { Stack } from "./support/stack.ts";
import { startStack } from "./support/stack.ts";

const PHONE = "6281234567001";
const CONTACT = "6281310002001";

let stack: Stack;
let saboteurs: Saboteurs;
let client: SabotagedClient;
const records: SendRecord[] = [];

beforeAll(async () => {
  stack = await startStack({ entry: "test/flow/support/sabotage-worker.ts" });
  const customer = await stack.customer({ phone: PHONE });
  saboteurs = new Saboteurs(stack);
  client = new SabotagedClient(stack, customer, saboteurs);
  await saboteurs.behave({ readDelayMs: 0 });
});

afterAll(async () => {
  await stack.stop();
});

async function sendAndDie(at: number, how: Parameters<Saboteurs["arm"]>[1]): Promise<boolean> {
  await client.untilConnected();
  await saboteurs.arm(at, how);
  const record = await client.send(CONTACT, `Ronde ${how} panggilan ${at} nomor antrean`);
  records.push(record);
  await client.untilEnded(record);
  const { fired } = await saboteurs.report();
  await saboteurs.disarm();
  return fired;
}

describe("a send that dies at its k-th call", () => {
  let calls: string[] = [];

  test("is made of calls that all pass the seam", async () => {
    await client.send(CONTACT, "Pesan pertama untuk membuka percakapan");
    await client.untilQuiet();
    await saboteurs.arm(0, "before");
    const record = await client.send(CONTACT, "Pesan kedua untuk menghitung panggilan");
    records.push(record);
    await client.untilEnded(record);
    calls = (await saboteurs.report()).log;
    await saboteurs.disarm();
    expect(calls.filter((call) => call === "d1 accept")).toHaveLength(1);
    expect(calls.filter((call) => call === "object device.enqueue")).toHaveLength(1);
  });

  for (const how of ["before", "after", "answer_lost"] as const) {
    test(`ends once, is paid once and arrives once: ${how}`, { timeout: 180_000 }, async () => {
      let fired = 0;
      for (let at = 1; at <= calls.length; at += 1) if (await sendAndDie(at, how)) fired += 1;
      // Receipts that come together need one call less.
      expect(fired).toBeGreaterThanOrEqual(calls.length - 2);
    });
  }

  test("reaches the phone although the client never heard of it and never asks again", async () => {
    await client.untilConnected();
    await saboteurs.arm(calls.indexOf("d1 accept") + 1, "after");
    const record = await client.send(CONTACT, "Tanpa jawaban dan tanpa ulangan", {
      repeats: false,
    });
    records.push(record);
    expect(record.code).toBe(null);
    await client.untilEnded(record);
    await saboteurs.disarm();
    expect(await client.shown(record)).toBe(1);
  });

  for (const how of ["answer_late", "effect_late"] as const) {
    test(
      `is refused or accepted for good when D1 stalls: ${how}`,
      { timeout: 60_000 },
      async () => {
        const at = calls.indexOf("d1 accept") + 1;
        expect(await sendAndDie(at, how)).toBe(true);
      },
    );
  }

  test("leaves phones and books in agreement with the client's record", async () => {
    expect(await client.disagreements(records)).toEqual([]);
    expect(await client.bookErrors()).toEqual([]);
    expect(await client.wireErrors()).toEqual([]);
  });
});
