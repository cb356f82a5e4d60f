/** What the outbox remembers of the front of its queue, against the table itself, through random histories. */
import { env, runInDurableObject } from "cloudflare:test";
import fc from "fast-check";
import { expect, it } from "vitest";
import { newRow, PRIORITIES, type MessageRow } from "../../src/device/message-row.ts";
import { Outbox } from "../../src/device/outbox.ts";
import { TextSeal } from "../../src/device/text-seal.ts";
import type { MessageCategory } from "../../src/domain/message-status.ts";
import { systemRandomBytes } from "../../src/domain/id.ts";
import { messageTo, newDevice } from "./device-support.ts";

const CATEGORIES = Object.keys(PRIORITIES) as MessageCategory[];
/** Rows of the queue's front that are looked at in any case. */
const SEEN_MIN = 100;

type Step =
  | { kind: "insert"; count: number; category: number; recipient: number; dueMs: number }
  | { kind: "leave" | "defer"; place: number; byMs: number }
  | { kind: "forget" }
  | { kind: "ask"; category: number; nowMs: number; busy: number[]; countMax: number };

const category = fc.nat({ max: 2 });
const timeMs = fc.nat({ max: 40 });
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({
    kind: fc.constant("insert" as const),
    count: fc.integer({ min: 1, max: 60 }),
    category,
    recipient: fc.nat({ max: 4 }),
    dueMs: timeMs,
  }),
  fc.record({
    kind: fc.constantFrom("leave" as const, "defer" as const),
    place: fc.nat({ max: 500 }),
    byMs: timeMs,
  }),
  fc.record({ kind: fc.constant("forget" as const) }),
  fc.record({
    kind: fc.constant("ask" as const),
    category,
    nowMs: timeMs,
    busy: fc.uniqueArray(fc.nat({ max: 4 }), { maxLength: 4 }),
    countMax: fc.integer({ min: 1, max: 40 }),
  }),
);

const recipientOf = (number: number): string => `628123456780${number}`;

interface Asked {
  answer: number[];
  /** By the table. */
  mayGo: number[];
  /** So many of them must be named at the least. */
  countMin: number;
  nextDueMs: number;
  firstMs: number;
}

class Desk {
  readonly #sql: SqlStorage;
  readonly #outbox: Outbox;

  constructor(sql: SqlStorage, outbox: Outbox) {
    this.#sql = sql;
    this.#outbox = outbox;
    sql.exec("DELETE FROM outbox");
    outbox.forget();
  }

  /** What was asked for, and what the table says. */
  run(taken: Step): Asked | null {
    switch (taken.kind) {
      case "insert":
        for (let count = 0; count < taken.count; count += 1) {
          const over = { category: CATEGORIES[taken.category] ?? "otp", dueMs: taken.dueMs };
          const message = messageTo(recipientOf((taken.recipient + count) % 5), over);
          this.#outbox.insert(newRow(message, 1));
        }
        return null;
      case "leave":
      case "defer":
        this.#change(taken);
        return null;
      case "forget":
        this.#outbox.forget();
        return null;
      case "ask":
        return this.#ask(taken);
      default:
        throw new Error("no such step");
    }
  }

  #waiting(priority: number): MessageRow[] {
    return this.#sql
      .exec<MessageRow & Record<string, SqlStorageValue>>(
        `SELECT id, recipient, next_ms AS nextMs FROM outbox
         WHERE state = 'queued' AND priority = ? ORDER BY next_ms, id`,
        priority,
      )
      .toArray();
  }

  #change({ kind, place, byMs }: Extract<Step, { kind: "leave" | "defer" }>): void {
    const all = Object.values(PRIORITIES).flatMap((priority) => this.#waiting(priority));
    const chosen = all[place % Math.max(1, all.length)];
    const row = chosen === undefined ? null : this.#outbox.get(chosen.id);
    if (row === null) return;
    if (kind === "leave") this.#outbox.patch(row, { state: "handing", open: 2 });
    else this.#outbox.patch(row, { nextMs: row.nextMs + byMs });
  }

  #ask({ category: index, nowMs, busy, countMax }: Extract<Step, { kind: "ask" }>): Asked {
    const priority = PRIORITIES[CATEGORIES[index] ?? "otp"];
    const busyRecipients = new Set(busy.map(recipientOf));
    const waiting = this.#waiting(priority);
    const mayGo = (rows: MessageRow[]): number[] =>
      rows
        .filter(({ nextMs, recipient }) => nextMs <= nowMs && !busyRecipients.has(recipient))
        .map(({ id }) => id)
        .slice(0, countMax);
    const answer = this.#outbox
      .dueNow(priority, nowMs, busyRecipients, countMax)
      .map(({ id }) => id);
    const firsts = Object.values(PRIORITIES).map(
      (one) => this.#waiting(one)[0]?.nextMs ?? Infinity,
    );
    return {
      answer,
      mayGo: mayGo(waiting),
      countMin: mayGo(waiting.slice(0, SEEN_MIN)).length,
      nextDueMs: this.#outbox.nextDueMs() ?? Infinity,
      firstMs: Math.min(...firsts),
    };
  }
}

it("names what the table would name, in its order", async () => {
  const device = await newDevice();
  await runInDurableObject(device.stub, async (_device, state) => {
    const { sql } = state.storage;
    const seal = new TextSeal([env.BODY_KEY], device.identity.deviceId, systemRandomBytes);
    const outbox = new Outbox(sql, seal);
    fc.assert(
      fc.property(fc.array(step, { minLength: 10, maxLength: 60 }), (steps) => {
        const desk = new Desk(sql, outbox);
        for (const taken of steps) {
          const asked = desk.run(taken);
          if (asked === null) continue;
          expect(asked.answer).toEqual(asked.mayGo.slice(0, asked.answer.length));
          expect(asked.answer.length).toBeGreaterThanOrEqual(asked.countMin);
          expect(asked.nextDueMs).toBe(asked.firstMs);
        }
      }),
      { numRuns: 60 },
    );
  });
}, 60_000);
