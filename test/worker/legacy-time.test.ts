/** When a message is due, in each of the account's zones and however the time is written. */
import { env } from "cloudflare:test";
import { describe, expect, it } from "vitest";
import { freshText, newCustomer, packetsOf, send, type Customer } from "./support/harness.ts";

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

interface Taken {
  code: number | undefined;
  /** Due time less the time of acceptance. */
  aheadMs: number | null;
  dueMs: number | null;
}

async function taken(customer: Customer, sendingdatetime: unknown): Promise<Taken> {
  const packet = { number: "6281234567890", message: freshText(), sendingdatetime };
  const [told] = packetsOf(await send(customer, [packet]));
  const row = await env.DB.prepare("SELECT due_ms, accepted_ms FROM messages WHERE id = ?")
    .bind(told?.sendingid ?? 0)
    .first<{ due_ms: number; accepted_ms: number }>();
  const code = told?.sendingstatus;
  if (row === null) return { code, aheadMs: null, dueMs: null };
  return { code, aheadMs: row.due_ms - row.accepted_ms, dueMs: row.due_ms };
}

/** What a clock on the wall shows at `ms`, `offsetHours` east of UTC. */
function wall(ms: number, offsetHours: number): string {
  return new Date(ms + offsetHours * HOUR_MS).toISOString().slice(0, 19).replace("T", " ");
}

describe("a time", () => {
  it.each([
    ["Asia/Jakarta", 7],
    ["Asia/Makassar", 8],
    ["Asia/Jayapura", 9],
  ])("is meant in the account's zone, %s", async (zone, offsetHours) => {
    const customer = await newCustomer({ account: { zone } });
    const dueMs = Math.floor(Date.now() / 1000) * 1000 + DAY_MS;
    expect(await taken(customer, wall(dueMs, offsetHours))).toMatchObject({ code: 10, dueMs });
    // An hour ago in this zone, though still ahead in a zone further west.
    expect(await taken(customer, wall(Date.now() - HOUR_MS, offsetHours))).toMatchObject({
      aheadMs: 0,
    });
  });

  it("is Western Indonesian where nothing else is chosen", async () => {
    const dueMs = Math.floor(Date.now() / 1000) * 1000 + DAY_MS;
    expect(await taken(await newCustomer(), wall(dueMs, 7))).toMatchObject({ code: 10, dueMs });
  });

  it("may be written with - or :, with T or a space, without seconds", async () => {
    const customer = await newCustomer();
    const dueMs = Math.floor(Date.now() / 60_000) * 60_000 + DAY_MS;
    const written = wall(dueMs, 7);
    const [date = "", clock = ""] = written.split(" ");
    for (const text of [
      written,
      `${date} ${clock.replaceAll(":", "-")}`,
      `${date}T${clock}`,
      `${date} ${clock.slice(0, 5)}`,
      `${date}T${clock.slice(0, 5).replace(":", "-")}`,
      `  ${written}  `,
    ]) {
      expect({ text, ...(await taken(customer, text)) }).toMatchObject({ text, code: 10, dueMs });
    }
  });

  it("that is empty, null, missing or past is now", async () => {
    const customer = await newCustomer();
    for (const text of ["", "  ", null, undefined, "2017-01-01 23:59:59", "1970-01-01 00:00:00"]) {
      expect({ text, ...(await taken(customer, text)) }).toMatchObject({ code: 10, aheadMs: 0 });
    }
  });

  it("may be 366 days ahead and no more", async () => {
    const customer = await newCustomer();
    const inAYearMs = Date.now() + 366 * DAY_MS;
    expect((await taken(customer, wall(inAYearMs - 60_000, 7))).code).toBe(10);
    expect((await taken(customer, wall(inAYearMs + 60_000, 7))).code).toBe(70);
  });

  it.each([
    ["2027-02-29 10:00:00"],
    ["2027-04-31 10:00:00"],
    ["0000-00-00 00:00:00"],
    ["2027-01-01 24:00:00"],
    ["2027-01-01 10:60"],
    ["2027-01-01"],
    ["10:00:00"],
    ["01-02-2027 10:00:00"],
    ["2027-01-01 10:00:00+07:00"],
    ["+002027-01-01 10:00:00"],
    ["9999-12-31 23:59:59"],
    ["2027-01-01 10:00:00 besok"],
    ["besok pagi"],
    [1_767_225_600],
    [0],
    [false],
    [{}],
    [[]],
  ])("%j is impossible: 70", async (text) => {
    expect(await taken(await newCustomer(), text)).toEqual({
      code: 70,
      aheadMs: null,
      dueMs: null,
    });
  });
});
