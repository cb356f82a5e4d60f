/** How ends reach the books when the books are slow, silent or disagree. The books are scripted here. */
import { env, runInDurableObject } from "cloudflare:test";
import { afterEach, expect, it, vi } from "vitest";
import type { MessageEnd, MessageEndReadback } from "../../src/billing/message-end.ts";
import { Chats } from "../../src/device/chats.ts";
import { Counters } from "../../src/device/counters.ts";
import type { Device } from "../../src/device/device.ts";
import type { EvidenceEvent } from "../../src/device/evidence.ts";
import { Events } from "../../src/device/events.ts";
import { Flush } from "../../src/device/flush.ts";
import { Identity } from "../../src/device/identity.ts";
import { Judgement } from "../../src/device/judgement.ts";
import { newRow } from "../../src/device/message-row.ts";
import { Outbox } from "../../src/device/outbox.ts";
import { KEPT_MS } from "../../src/device/retention.ts";
import { TextSeal } from "../../src/device/text-seal.ts";
import { systemRandomBytes } from "../../src/domain/id.ts";
import { ACCOUNT_ID, counter, messageTo, newDevice, type TestDevice } from "./device-support.ts";

afterEach(() => vi.restoreAllMocks());

type Answer = (ends: MessageEnd[]) => Promise<MessageEndReadback[]>;

const all =
  (money: MessageEndReadback["money"]): Answer =>
  async (ends) =>
    ends.map(({ messageId, rev }) => ({ messageId, money, rev }));

interface Desk {
  flush: Flush;
  outbox: Outbox;
  told: MessageEnd[][];
  answerWith: (next: Answer) => void;
  clock: { nowMs: number };
  /** Stores messages and ends them as cancelled. */
  end: (count: number) => void;
  /** Stores messages and has them acknowledged by WhatsApp; answers their ids. */
  acknowledge: (count: number) => number[];
  /** A receipt for one of them. */
  receive: (id: number) => void;
}

async function withFlush(device: TestDevice, work: (desk: Desk) => Promise<void>): Promise<void> {
  await runInDurableObject(device.stub, async (_device: Device, state) => {
    const { sql } = state.storage;
    const seal = new TextSeal([env.BODY_KEY], device.identity.deviceId, systemRandomBytes);
    const outbox = new Outbox(sql, seal);
    const counters = new Counters(sql);
    const identity = new Identity(sql);
    const events = new Events(sql, identity, counters, seal);
    const told: MessageEnd[][] = [];
    const clock = { nowMs: Date.now() };
    let answer = all("done");
    const record: Answer = async (ends) => {
      told.push(ends);
      return answer(ends);
    };
    const flush = new Flush(outbox, counters, ACCOUNT_ID, record, 10_000, systemRandomBytes);
    const chats = new Chats(sql, identity, outbox);
    const behind = () => flush.note(clock.nowMs);
    const judgement = new Judgement(outbox, counters, events, behind, chats);
    const put = (id: number, event: EvidenceEvent): void => {
      const row = outbox.get(id);
      if (row !== null) judgement.apply(row, event, {}, clock.nowMs);
    };
    await work({
      flush,
      outbox,
      told,
      clock,
      acknowledge: (count) =>
        Array.from({ length: count }, () => {
          const row = newRow(messageTo(), 1);
          outbox.insert({ ...row, state: "maybe_sent", attempts: 1, committedAttempt: 1, open: 2 });
          put(row.id, { kind: "acknowledged" });
          return row.id;
        }),
      receive: (id) => put(id, { kind: "receipt", proof: "delivered" }),
      answerWith: (next) => {
        answer = next;
      },
      end: (count) => {
        for (let index = 0; index < count; index += 1) {
          const row = newRow(messageTo(), 1);
          outbox.insert(row);
          judgement.apply(
            row,
            { kind: "withdrawn", reason: "cancelled_by_customer" },
            {},
            clock.nowMs,
          );
        }
      },
    });
  });
}

it("ends gather for the delay and go in batches of 20", async () => {
  const device = await newDevice();
  await withFlush(device, async ({ flush, outbox, told, clock, end }) => {
    end(5);
    expect(flush.nextMs()).toBe(clock.nowMs + 10_000);
    expect(flush.isDue(clock.nowMs)).toBe(false);
    end(15);
    expect(flush.isDue(clock.nowMs)).toBe(true);
    end(5);
    await flush.run(() => clock.nowMs);
    expect(told.map((ends) => ends.length)).toEqual([20, 5]);
    expect(told[0]?.[0]).toMatchObject({
      accountId: ACCOUNT_ID,
      money: "void",
      status: "cancel",
      rev: 2,
    });
    expect(outbox.dirtyCount()).toBe(0);
    expect(flush.nextMs()).toBeNull();
  });
});

it("silent books are asked again, later and later, and nothing is forgotten", async () => {
  vi.spyOn(console, "warn").mockReturnValue();
  const device = await newDevice();
  await withFlush(device, async ({ flush, outbox, told, clock, end, answerWith }) => {
    answerWith(async () => Promise.reject(new Error("D1 is gone")));
    end(1);
    const waits: number[] = [];
    for (let tries = 0; tries < 12; tries += 1) {
      await flush.run(() => clock.nowMs);
      waits.push((flush.nextMs() ?? 0) - clock.nowMs);
      clock.nowMs = flush.nextMs() ?? 0;
    }
    expect(waits[0]).toBeLessThanOrEqual(1_000);
    expect(waits.at(-1)).toBeGreaterThanOrEqual(150_000);
    expect(waits.at(-1)).toBeLessThanOrEqual(300_000);
    answerWith(all("done"));
    await flush.run(() => clock.nowMs);
    expect(told).toHaveLength(13);
    expect(outbox.dirtyCount()).toBe(0);
  });
});

it("an end without its hold stands aside, does not keep others, and is given up after 35 days", async () => {
  const device = await newDevice();
  await withFlush(device, async ({ flush, outbox, told, clock, end, answerWith }) => {
    answerWith(all("no_hold"));
    end(1);
    await flush.run(() => clock.nowMs);
    expect(told).toHaveLength(1);
    answerWith(all("done"));
    end(1);
    await flush.run(() => clock.nowMs);
    expect(told[1]).toHaveLength(1);
    expect(outbox.dirtyCount()).toBe(1);
    answerWith(all("no_hold"));
    clock.nowMs = flush.nextMs() ?? 0;
    await flush.run(() => clock.nowMs);
    expect(outbox.dirtyCount()).toBe(1);
    clock.nowMs += KEPT_MS;
    await flush.run(() => clock.nowMs);
    expect(outbox.dirtyCount()).toBe(0);
  });
  expect(await counter(device, "books_given_up")).toBe(1);
});

it("books that hold a different end are an alert and no loop", async () => {
  const alert = vi.spyOn(console, "error").mockReturnValue();
  const device = await newDevice();
  await withFlush(device, async ({ flush, outbox, told, clock, end, answerWith }) => {
    answerWith(all("different"));
    end(1);
    await flush.run(() => clock.nowMs);
    await flush.run(() => clock.nowMs);
    expect(told).toHaveLength(1);
    expect(outbox.dirtyCount()).toBe(0);
  });
  expect(alert).toHaveBeenCalledOnce();
  expect(await counter(device, "books_different")).toBe(1);
});

it("an end that changes while the books are written is told again", async () => {
  const device = await newDevice();
  await withFlush(device, async ({ flush, outbox, told, clock, end, answerWith }) => {
    end(1);
    answerWith(async (ends) => {
      const [first] = ends;
      const row = outbox.get(first?.messageId ?? 0);
      if (row !== null && told.length === 1) {
        outbox.patch(row, { state: "reject", money: "refunded", rev: row.rev + 1 });
      }
      return all("done")(ends);
    });
    await flush.run(() => clock.nowMs);
    expect(outbox.dirtyCount()).toBe(1);
    clock.nowMs = flush.nextMs() ?? 0;
    await flush.run(() => clock.nowMs);
    expect(told[1]?.[0]).toMatchObject({ money: "refund", rev: 3 });
    expect(outbox.dirtyCount()).toBe(0);
  });
});

it("receipts neither bring a batch forward nor are told to the books", async () => {
  const device = await newDevice();
  await withFlush(
    device,
    async ({ flush, outbox, told, clock, acknowledge, receive, answerWith }) => {
      const ids = acknowledge(15);
      ids.slice(0, 10).forEach(receive);
      expect(flush.isDue(clock.nowMs)).toBe(false);
      answerWith(async (ends) => {
        ids.slice(10).forEach(receive);
        return all("done")(ends);
      });
      clock.nowMs += 10_000;
      await flush.run(() => clock.nowMs);
      expect(told.map((ends) => ends.length)).toEqual([15]);
      expect(outbox.dirtyCount()).toBe(0);
      expect(ids.map((id) => outbox.get(id)?.state)).toEqual(ids.map(() => "received"));
    },
  );
});
