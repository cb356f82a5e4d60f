/**
 * POST /v1/messages on the real Worker: what is accepted, what is refused and why, and what a repeated request
 * costs (nothing). Money and messages are read by plain SQL.
 */
import { env, runInDurableObject } from "cloudflare:test";
import { afterEach, describe, expect, it, vi } from "vitest";
import { Outbox } from "../../src/device/outbox.ts";
import { TextSeal } from "../../src/device/text-seal.ts";
import { setSaboteur } from "../../src/domain/crossing.ts";
import { systemRandomBytes } from "../../src/domain/id.ts";
import { EXPLAIN } from "../../src/gateway/accept-sql.ts";
import { legsOf, rowOf } from "./support/books.ts";
import {
  believe,
  foldOf,
  freshText,
  newCustomer,
  newKey,
  send,
  type Customer,
} from "./support/harness.ts";
import { v1, type V1Answer } from "./support/v1.ts";

const NUMBER = "0813-1000-1001";

afterEach(() => setSaboteur(null));

function post(
  customer: Pick<Customer, "apiKey" | "waid">,
  fields: Record<string, unknown> = {},
  repeatKey?: string,
): Promise<V1Answer> {
  const body = {
    device: customer.waid,
    to: NUMBER,
    text: "Pesanan Anda sudah dikirim.",
    ...fields,
  };
  const headers = repeatKey === undefined ? {} : { "idempotency-key": repeatKey };
  return v1("POST", "/messages", customer.apiKey, body, { headers });
}

async function messageCount(accountId: number): Promise<number> {
  const row = await env.DB.prepare("SELECT count(*) AS n FROM messages WHERE account_id = ?")
    .bind(accountId)
    .first<{ n: number }>();
  return row?.n ?? 0;
}

describe("a text", () => {
  it("is accepted as it is written: nothing in it is decoded, whatever the key's encoding", async () => {
    const customer = await newCustomer();
    const apiKey = await newKey(customer.accountId, { encoding: "urlencoded" });
    const text = "Golongan+darah+O%2B dan 100%";
    const { status, body, headers } = await post({ ...customer, apiKey }, { text });
    expect(status).toBe(202);
    expect(headers.get("idempotency-replayed")).toBeNull();
    expect(body).toMatchObject({
      device: customer.waid,
      to: "6281310001001",
      status: "pending",
      reason: "queued",
      price: 200,
      history: [{ status: "pending", reason: "queued" }],
    });
    const id = Number(body["id"]);
    expect(await legsOf(id)).toMatchObject([{ leg: "hold", amount: 200 }]);
    const stub = env.DEVICES.get(env.DEVICES.idFromName(customer.deviceId));
    const stored = await runInDurableObject(stub, (_, state) =>
      new Outbox(
        state.storage.sql,
        new TextSeal([env.BODY_KEY], customer.deviceId, systemRandomBytes),
      ).text(id),
    );
    expect(stored).toBe(text);
    const told = await v1("GET", `/messages/${id}`, apiKey);
    expect(told.body).toMatchObject({ id, status: "pending", price: 200 });
  });

  it("for later keeps its time, its category and its life", async () => {
    const customer = await newCustomer();
    const atMs = Math.floor(Date.now() / 1000) * 1000 + 3 * 3_600_000;
    const local = `${new Date(atMs + 7 * 3_600_000).toISOString().slice(0, 19)}+07:00`;
    const { status, body } = await post(customer, { send_at: local, expires_in: 600 });
    expect(status).toBe(202);
    expect(body).toMatchObject({ reason: "scheduled", expected_at: new Date(atMs).toISOString() });
    expect(await rowOf(Number(body["id"]))).toMatchObject({
      due_ms: atMs,
      expires_ms: atMs + 600_000,
      category: "reminder",
    });
    const otp = await post(customer, { category: "otp", text: freshText() });
    const row = await rowOf(Number(otp.body["id"]));
    expect(row).toMatchObject({ category: "otp" });
    expect(Number(row?.["expires_ms"]) - Number(row?.["due_ms"])).toBe(300_000);
  });

  it("with a time in the past leaves now", async () => {
    const customer = await newCustomer();
    const { body } = await post(customer, { send_at: "2020-01-01T00:00:00Z" });
    expect(body).toMatchObject({ status: "pending", reason: "queued" });
  });
});

describe("a refusal", () => {
  const cases: [string, Record<string, unknown>, number, string][] = [
    ["a landline", { to: "021-5550123" }, 422, "number_invalid"],
    ["too short a text", { text: "Pendek" }, 422, "text_invalid"],
    ["too long a text", { text: "x".repeat(1001) }, 422, "text_invalid"],
    ["half a character", { text: "Halo halo halo \ud800" }, 422, "text_invalid"],
    ["a time in two years", { send_at: "2099-01-01T00:00:00Z" }, 422, "time_invalid"],
    ["a time without an offset", { send_at: "2026-12-01T08:00:00" }, 422, "body_malformed"],
    ["a day that is none", { send_at: "2026-02-30T08:00:00Z" }, 422, "body_malformed"],
    ["an unknown category", { category: "promotion" }, 422, "body_malformed"],
    ["a life of a second", { expires_in: 1 }, 422, "body_malformed"],
    ["a number as a number", { to: 6281310001001 }, 422, "body_malformed"],
    ["a misspelt field", { sendAt: "2026-12-01T08:00:00Z" }, 422, "body_malformed"],
    ["an unknown device", { device: "ZZZZZZ" }, 404, "device_unknown"],
    ["no device", { device: undefined }, 422, "body_malformed"],
  ];
  it.each(cases)("of %s holds nothing and says why", async (_, fields, status, code) => {
    const customer = await newCustomer();
    const before = await foldOf(customer.accountId);
    const answer = await post(customer, fields);
    expect([answer.status, answer.body["code"]]).toEqual([status, code]);
    expect(String(answer.body["detail"])).not.toBe("");
    expect(await foldOf(customer.accountId)).toEqual(before);
    expect(await messageCount(customer.accountId)).toBe(0);
  });

  it("says what is missing: money, quota, a package, a balance, a phone", async () => {
    const poor = await newCustomer({ balance: 199 });
    expect((await post(poor)).body).toMatchObject({ status: 402, code: "balance_short" });
    const full = await newCustomer();
    await env.DB.prepare("UPDATE package_periods SET quota = 0 WHERE device_id = ?")
      .bind(full.deviceId)
      .run();
    expect((await post(full)).body).toMatchObject({ status: 402, code: "quota_used_up" });
    const never = await newCustomer({ balance: 0 });
    expect((await post(never)).body).toMatchObject({ status: 403, code: "balance_expired" });
    const unpaired = await newCustomer({ status: "unpaired" });
    expect((await post(unpaired)).body).toMatchObject({ status: 409, code: "device_unavailable" });
    const own = await v1("POST", "/devices", full.apiKey, { name: "Tanpa paket" });
    const without = { apiKey: full.apiKey, waid: String(own.body["id"]) };
    expect((await post(without)).body).toMatchObject({ status: 403, code: "package_expired" });
  });

  it("of who opted out", async () => {
    const customer = await newCustomer();
    await env.DB.prepare("INSERT INTO opt_outs (device_id, number, at_ms) VALUES (?, ?, 1)")
      .bind(customer.deviceId, "6281310001001")
      .run();
    expect((await post(customer)).body).toMatchObject({ status: 409, code: "recipient_opted_out" });
  });
});

describe("a repeated request", () => {
  it("gets the first answer, marked, and costs nothing", async () => {
    const customer = await newCustomer();
    const first = await post(customer, {}, "order-1");
    const again = await post(customer, {}, "order-1");
    expect(first.status).toBe(202);
    expect(first.headers.get("idempotency-replayed")).toBeNull();
    expect(again.status).toBe(202);
    expect(again.headers.get("idempotency-replayed")).toBe("true");
    expect(again.body).toEqual(first.body);
    expect(await messageCount(customer.accountId)).toBe(1);
    expect((await foldOf(customer.accountId)).held).toBe(200);
  });

  it("says the same if it is written otherwise, and not if it says otherwise", async () => {
    const customer = await newCustomer();
    const first = await post(customer, { send_at: "2027-01-01T08:00:00+07:00" }, "k");
    const written = await post(
      customer,
      { to: "+62 813 1000 1001", send_at: "2027-01-01T01:00:00.000Z" },
      "k",
    );
    expect(written.body).toEqual(first.body);
    const others: Record<string, unknown>[] = [
      { text: "Pesanan Anda sudah tiba." },
      { to: "0813-1000-1002" },
      { category: "otp" },
      { expires_in: 60 },
      {},
    ];
    for (const other of others) {
      const answer = await post(customer, { send_at: "2027-01-01T08:00:00+07:00", ...other }, "k");
      const same = Object.keys(other).length === 0;
      expect(answer.status, `for ${JSON.stringify(other)}`).toBe(same ? 202 : 422);
      if (!same) expect(answer.body["code"]).toBe("idempotency_key_reused");
    }
    expect(await messageCount(customer.accountId)).toBe(1);
  });

  it("is answered even when nothing more would be accepted, also by another key of the account", async () => {
    const customer = await newCustomer({ balance: 200 });
    const first = await post(customer, {}, "last-rupiah");
    await env.DB.prepare("UPDATE accounts SET balance_expires_on = '2020-01-01' WHERE id = ?")
      .bind(customer.accountId)
      .run();
    await believe(customer.deviceId, "banned");
    const apiKey = await newKey(customer.accountId);
    const again = await post({ ...customer, apiKey }, {}, "last-rupiah");
    expect(again.body).toEqual(first.body);
    expect((await post(customer)).body).toMatchObject({ code: "balance_expired" });
  });

  it("is judged anew when it was refused", async () => {
    const customer = await newCustomer({ status: "unpaired" });
    expect((await post(customer, {}, "k")).body).toMatchObject({ code: "device_unavailable" });
    await believe(customer.deviceId, "connected");
    const accepted = await post(customer, {}, "k");
    expect(accepted.status).toBe(202);
    expect(accepted.headers.get("idempotency-replayed")).toBeNull();
  });

  it("of another account under the same name is another request", async () => {
    const [one, other] = [await newCustomer(), await newCustomer()];
    const first = await post(one, {}, "same");
    const second = await post(other, {}, "same");
    expect(second.status).toBe(202);
    expect(second.headers.get("idempotency-replayed")).toBeNull();
    expect(second.body["id"]).not.toBe(first.body["id"]);
  });

  it("sent twenty times at once is one message", async () => {
    const customer = await newCustomer();
    const answers = await Promise.all(
      Array.from({ length: 20 }, () => post(customer, {}, "at-once")),
    );
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([202]));
    expect(new Set(answers.map(({ body }) => body["id"])).size).toBe(1);
    const replayed = answers.filter(
      ({ headers }) => headers.get("idempotency-replayed") === "true",
    );
    expect(replayed).toHaveLength(19);
    expect(await messageCount(customer.accountId)).toBe(1);
    expect((await foldOf(customer.accountId)).held).toBe(200);
  });

  it("is forgotten after 24 hours", async () => {
    const customer = await newCustomer();
    const first = await post(customer, {}, "yesterday");
    await env.DB.prepare("UPDATE messages SET accepted_ms = accepted_ms - 86400000 WHERE id = ?")
      .bind(first.body["id"])
      .run();
    const second = await post(customer, { text: "Pesanan Anda sudah tiba." }, "yesterday");
    expect(second.status).toBe(202);
    expect(second.body["id"]).not.toBe(first.body["id"]);
  });

  it("stands for a message that was cancelled since: nothing is sent anew", async () => {
    const customer = await newCustomer();
    const first = await post(customer, { send_at: "2027-01-01T08:00:00+07:00" }, "k");
    const cancelled = await v1(
      "POST",
      `/messages/${String(first.body["id"])}/cancel`,
      customer.apiKey,
    );
    expect(cancelled.body).toMatchObject({ status: "cancel" });
    const again = await post(customer, { send_at: "2027-01-01T08:00:00+07:00" }, "k");
    expect(again.body).toEqual(first.body);
    expect(await messageCount(customer.accountId)).toBe(1);
  });

  it("replaces the duplicate window: equal texts under two names are two messages", async () => {
    const customer = await newCustomer();
    const [one, two] = [await post(customer, {}, "a"), await post(customer, {}, "b")];
    expect(one.body["id"]).not.toBe(two.body["id"]);
    const [three, four] = [await post(customer), await post(customer)];
    expect(four.body["id"]).toBe(three.body["id"]);
    expect(await messageCount(customer.accountId)).toBe(3);
  });

  it("under a name that is none is refused", async () => {
    const customer = await newCustomer();
    for (const name of ["", "two words", "x".repeat(256)]) {
      expect((await post(customer, {}, name)).status, `for ${name}`).toBe(422);
    }
  });
});

describe("when answers get lost", () => {
  it("a repeat after a lost commit finds the message and hands it over", async () => {
    const customer = await newCustomer();
    const warn = vi.spyOn(console, "warn").mockImplementation(() => {});
    let accepts = 0;
    setSaboteur(async (crossing, call) => {
      if (crossing.name === "accept") {
        accepts += 1;
        const value = await call();
        if (accepts === 1) throw new Error("answer lost");
        return value;
      }
      return call();
    });
    const first = await post(customer, {}, "lost");
    setSaboteur(null);
    expect(first.status).toBe(202);
    const again = await post(customer, {}, "lost");
    expect(again.body).toEqual(first.body);
    expect(again.headers.get("idempotency-replayed")).toBe("true");
    expect(await messageCount(customer.accountId)).toBe(1);
    warn.mockRestore();
  });

  it("a message that was never taken is accepted anew by the repeat, and held once", async () => {
    const customer = await newCustomer();
    const first = await post(customer, {}, "k");
    const id = Number(first.body["id"]);
    const stub = env.DEVICES.get(env.DEVICES.idFromName(customer.deviceId));
    // As if the client had been told no and the device to drop it.
    await runInDurableObject(stub, (_, state) =>
      state.storage.sql.exec(
        "UPDATE outbox SET state = 'cancel', reason = 'abandoned', money = 'voided', money_dirty = 1, status_dirty = 1, open = 2",
      ),
    );
    const again = await post(customer, {}, "k");
    expect(again.status).toBe(202);
    expect(again.headers.get("idempotency-replayed")).toBeNull();
    expect(again.body["id"]).not.toBe(id);
    await vi.waitFor(async () => expect((await foldOf(customer.accountId)).held).toBe(200));
    const third = await post(customer, {}, "k");
    expect(third.body).toEqual(again.body);
  });
});

describe("a name whose request the device refused more than once", () => {
  /** The newest message ends at its device as if that had never taken it. */
  async function dropQueued(deviceId: string): Promise<void> {
    const stub = env.DEVICES.get(env.DEVICES.idFromName(deviceId));
    await runInDurableObject(stub, (_, state) =>
      state.storage.sql.exec(
        "UPDATE outbox SET state = 'cancel', reason = 'abandoned', money = 'voided', money_dirty = 1, status_dirty = 1, open = 2",
      ),
    );
  }

  it.each([["order-1"], [undefined]])("is judged anew every time (%s)", async (name) => {
    const customer = await newCustomer();
    const ids = new Set<unknown>();
    for (let refusals = 0; refusals < 4; refusals += 1) {
      const answer = await post(customer, {}, name);
      expect(answer.status, `after ${String(refusals)} refusals`).toBe(202);
      ids.add(answer.body["id"]);
      await dropQueued(customer.deviceId);
    }
    expect(ids.size).toBe(4);
    const last = await post(customer, {}, name);
    expect(ids).not.toContain(last.body["id"]);
    const again = await post(customer, {}, name);
    expect(again.body).toEqual(last.body);
    expect(await messageCount(customer.accountId)).toBe(5);
    await vi.waitFor(async () => expect((await foldOf(customer.accountId)).held).toBe(200));
  });
});

describe("a request without a name", () => {
  it("writes not one row more than before", async () => {
    const customer = await newCustomer();
    await send(customer, [{ number: NUMBER, message: freshText() }]);
    const row = await env.DB.prepare(
      "SELECT repeat_key, repeat_print FROM messages WHERE account_id = ?",
    )
      .bind(customer.accountId)
      .first();
    expect(row).toEqual({ repeat_key: null, repeat_print: null });
    const plan = await env.DB.prepare(
      `EXPLAIN QUERY PLAN SELECT id FROM messages m
       WHERE m.account_id = 1 AND m.repeat_key = 'x' AND m.accepted_ms > 5 ORDER BY m.id DESC LIMIT 1`,
    ).all<{ detail: string }>();
    expect(plan.results.map(({ detail }) => detail).join()).toContain("messages_repeat");
    const nothing = ["[]", 0, 0];
    const explained = await env.DB.prepare(`EXPLAIN QUERY PLAN ${EXPLAIN}`)
      .bind(...nothing)
      .all<{ detail: string }>();
    const details = explained.results.map(({ detail }) => detail);
    const superseders = new Set(details.filter((detail) => / s( |$)/.test(detail)));
    expect([...superseders]).toEqual([
      "SEARCH s USING INDEX messages_repeat (account_id=? AND repeat_key=?)",
      "SEARCH s USING INDEX messages_text (account_id=? AND text_mac=? AND accepted_ms>?)",
    ]);
    expect(details.filter((detail) => /^SCAN [ms]\b/.test(detail))).toEqual([]);
  });
});
