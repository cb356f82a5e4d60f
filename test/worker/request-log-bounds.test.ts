/** What bounds the request log, and the events that tell of refusals nobody read. Time is moved, never waited for. */
import { env } from "cloudflare:test";
import { afterEach, describe, expect, it, vi } from "vitest";
import { writeLines, type LineToLog, type LoggedRefusal } from "../../src/directory/request-log.ts";
import { sha256Hex } from "../../src/domain/digest.ts";
import { LOG_KEPT_MS, RequestLog } from "../../src/gateway/request-log.ts";
import { newCustomer, operator, request, send, type Customer } from "./support/harness.ts";
import { logPage } from "./support/log.ts";

const HOUR_MS = 3_600_000;
const KEY_UNKNOWN: LoggedRefusal = { reason: "key_unknown", code: "30", count: 1 };

afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

function passTime(ms: number): void {
  vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + ms });
}

async function lineOf(
  { apiKey }: Customer,
  atMs: number,
  why: LoggedRefusal[] = [],
): Promise<LineToLog> {
  return {
    keyHash: await sha256Hex(apiKey),
    keyPrefix: apiKey.slice(0, 6),
    network: "",
    isUnread: true,
    isStranger: false,
    line: {
      id: `req_${String(atMs).padStart(24, "0")}`,
      at: atMs,
      address: "",
      endpoint: "POST /sms/api_whatsapp_send_json.php",
      code: "10",
      ...(why.length === 0 ? {} : { why }),
      accepted: 1,
      refused: 0,
      ms: 1,
    },
  };
}

async function storedLines(accountId: number): Promise<{ rows: number; lines: number }> {
  const row = await env.DB.prepare(
    "SELECT count(*) AS rows, coalesce(sum(line_count), 0) AS lines FROM request_log WHERE account_id = ?",
  )
    .bind(accountId)
    .first<{ rows: number; lines: number }>();
  return row ?? { rows: 0, lines: 0 };
}

interface AccountEvent {
  id: string;
  type: string;
  data: { reason: string; code: string; count: number };
  rule: { id: string; en: string } | null;
}

async function eventsAfter(token: string, after = "0"): Promise<AccountEvent[]> {
  const response = await request("GET", `/v1/account-events?after=${after}`, { token });
  const { events } = await response.json<{ events: AccountEvent[] }>();
  return events;
}

describe("an account's log", () => {
  it("keeps the newest ten thousand lines to within one write", async () => {
    const customer = await newCustomer();
    const nowMs = Date.now();
    for (let write = 0; write < 6; write += 1) {
      const lines = await Promise.all(
        Array.from({ length: 2_100 }, (_, index) =>
          lineOf(customer, nowMs + write * 10_000 + index),
        ),
      );
      await writeLines(env.DB, lines, nowMs);
    }
    const { lines } = await storedLines(customer.accountId);
    expect(lines).toBeGreaterThanOrEqual(10_000);
    expect(lines).toBeLessThan(12_100);
    const { requests } = await logPage(customer.apiKey, "?limit=1&code=10");
    expect(requests[0]?.id).toBe(`req_${String(nowMs + 52_099).padStart(24, "0")}`);
  });

  it("is one row for all that an isolate gathered, two when two accounts are in it", async () => {
    const [one, two] = [await newCustomer(), await newCustomer()];
    const nowMs = Date.now();
    const lines = await Promise.all(
      Array.from({ length: 50 }, (_, index) => lineOf(index % 2 === 0 ? one : two, nowMs + index)),
    );
    await writeLines(env.DB, lines, nowMs);
    expect(await storedLines(one.accountId)).toEqual({ rows: 1, lines: 25 });
    expect(await storedLines(two.accountId)).toEqual({ rows: 1, lines: 25 });
  });

  it("costs a row an account, and one more for each of what only some lines need", async () => {
    const customer = await newCustomer();
    const nowMs = Date.now();
    const rowsOf = async (lines: LineToLog[]) => {
      let rows = 0;
      const counting = {
        prepare: (sql: string) => env.DB.prepare(sql),
        batch: async (statements: D1PreparedStatement[]) => {
          const results = await env.DB.batch(statements);
          rows = results.reduce((sum, { meta }) => sum + meta.rows_written, 0);
          return results;
        },
      };
      await writeLines(counting as unknown as D1Database, lines, nowMs);
      return rows;
    };
    const good = await lineOf(customer, nowMs);
    const refused = await lineOf(customer, nowMs, [
      { reason: "text_invalid", code: "70", count: 1 },
    ]);
    const unknown = { ...(await lineOf(customer, nowMs, [KEY_UNKNOWN])), keyHash: "none" };
    expect(await rowsOf([good])).toBe(1);
    expect(await rowsOf(Array.from({ length: 200 }, () => good))).toBe(1);
    expect(await rowsOf([good, refused])).toBe(2);
    expect(await rowsOf([good, refused])).toBe(3);
    expect(await rowsOf([unknown])).toBe(1);
  });

  it("shows seven days at most, and forgets them by the cron", async () => {
    const customer = await newCustomer();
    await send(customer, [{ number: "12" }]);
    await env.DB.prepare("DELETE FROM request_log WHERE account_id = ?")
      .bind(customer.accountId)
      .run();
    const nowMs = Date.now();
    await writeLines(env.DB, [await lineOf(customer, nowMs - LOG_KEPT_MS - HOUR_MS)], nowMs);
    await writeLines(env.DB, [await lineOf(customer, nowMs - HOUR_MS)], nowMs);
    expect((await logPage(customer.apiKey, "?code=10")).requests).toHaveLength(1);
    expect((await storedLines(customer.accountId)).rows).toBeGreaterThanOrEqual(2);
    const left = async (after: string) =>
      env.DB.prepare("SELECT count(*) AS n FROM request_log WHERE account_id = ? AND at_ms < ?")
        .bind(customer.accountId, after === "week" ? nowMs - LOG_KEPT_MS : nowMs)
        .first<{ n: number }>();
    await operator("POST", "/cron");
    expect(await left("week")).toEqual({ n: 0 });
    expect(await left("now")).toEqual({ n: 1 });
    passTime(LOG_KEPT_MS + HOUR_MS);
    await operator("POST", "/cron");
    const after = await env.DB.prepare(
      `SELECT (SELECT count(*) FROM request_log WHERE at_ms < ?1) AS lines,
        (SELECT count(*) FROM account_events WHERE at_ms < ?1) AS events`,
    )
      .bind(nowMs)
      .first();
    expect(after).toEqual({ lines: 0, events: 0 });
  });
});

describe("gathering", () => {
  function toolsAt(now: { ms: number }) {
    const works: Promise<unknown>[] = [];
    const later = (work: Promise<unknown>) => void works.push(work);
    return { works, tools: { db: env.DB, clock: () => now.ms, later } };
  }

  it("writes many lines in one batch, and at once when there are many", async () => {
    const customer = await newCustomer();
    const now = { ms: Date.now() };
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    const { works, tools } = toolsAt(now);
    const log = new RequestLog(5_000);
    const line = await lineOf(customer, now.ms);
    for (let index = 0; index < 199; index += 1) log.add(tools, line);
    expect(works).toHaveLength(1);
    log.add(tools, line);
    expect(works).toHaveLength(2);
    await works[1];
    expect(await storedLines(customer.accountId)).toEqual({ rows: 1, lines: 200 });
    await vi.advanceTimersByTimeAsync(5_000);
    await works[0];
    expect(await storedLines(customer.accountId)).toEqual({ rows: 1, lines: 200 });
  });

  it("calls another writer when the first has not come", async () => {
    const customer = await newCustomer();
    const now = { ms: Date.now() };
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    const { works, tools } = toolsAt(now);
    const log = new RequestLog(1_000);
    const line = await lineOf(customer, now.ms);
    log.add(tools, line);
    now.ms += 5_000;
    log.add(tools, line);
    expect(works).toHaveLength(1);
    now.ms += 2_000;
    log.add(tools, line);
    expect(works).toHaveLength(2);
    await vi.advanceTimersByTimeAsync(1_000);
    await Promise.all(works);
    expect(await storedLines(customer.accountId)).toEqual({ rows: 1, lines: 3 });
  });
});

describe("account events", () => {
  const refused = (reason: string, code: string, count: number) => [{ reason, code, count }];

  it("count what an old client was refused and never read, by reason and hour", async () => {
    const customer = await newCustomer();
    const packets = Array.from({ length: 74 }, () => ({ number: "12" }));
    expect((await send(customer, packets)).globalstatus).toBe(55);
    await vi.waitFor(async () => {
      expect(await eventsAfter(customer.apiKey)).toMatchObject([
        {
          type: "account.refusals",
          data: { reason: "too_many_messages", code: "55", count: 74 },
          rule: { en: expect.stringContaining("More than 5 messages") },
        },
      ]);
    });
  });

  it("come again under a new id when they grow, so that no cursor misses the count", async () => {
    const customer = await newCustomer();
    const nowMs = Date.now();
    const write = async (atMs: number, why: LoggedRefusal[]) =>
      writeLines(env.DB, [await lineOf(customer, atMs, why)], nowMs);
    await write(nowMs, refused("number_invalid", "60", 2));
    await write(nowMs, refused("text_invalid", "70", 1));
    const [first, second] = await eventsAfter(customer.apiKey);
    await write(nowMs, refused("number_invalid", "60", 3));
    const later = await eventsAfter(customer.apiKey, second?.id);
    expect(later).toMatchObject([{ data: { reason: "number_invalid", count: 5 } }]);
    expect(Number(later[0]?.id)).toBeGreaterThan(Number(second?.id));
    expect(Number(second?.id)).toBeGreaterThan(Number(first?.id));
    expect(await eventsAfter(customer.apiKey)).toHaveLength(2);
  });

  it("are another account's never", async () => {
    const [mine, theirs] = [await newCustomer(), await newCustomer()];
    const nowMs = Date.now();
    await writeLines(env.DB, [await lineOf(mine, nowMs, refused("balance_short", "80", 1))], nowMs);
    expect(await eventsAfter(mine.apiKey)).toHaveLength(1);
    expect(await eventsAfter(theirs.apiKey)).toEqual([]);
  });
});
