/** Test keys: the answers of the real path, and nothing of what it does. */
import { env } from "cloudflare:test";
import { afterEach, describe, expect, it, vi } from "vitest";
import { setSaboteur } from "../../src/domain/crossing.ts";
import { LOG_KEPT_MS } from "../../src/gateway/request-log.ts";
import { connect } from "./device-support.ts";
import { wallTime } from "../flow/support/wall-time.ts";
import {
  BALANCE_PATH,
  believe,
  cachedBalances,
  foldOf,
  freshText,
  newCustomer,
  newKey,
  operator,
  packetsOf,
  request,
  send,
  type Customer,
} from "./support/harness.ts";

const NUMBER = "6281234567890";

afterEach(() => {
  setSaboteur(null);
  vi.useRealTimers();
});

interface Tester extends Customer {
  liveKey: string;
}

/** Its device was never paired. */
async function newTester(): Promise<Tester> {
  const customer = await newCustomer({ status: "unpaired", balance: 10_000 });
  const apiKey = await newKey(customer.accountId, { mode: "test" });
  return { ...customer, apiKey, liveKey: customer.apiKey };
}

async function accepted(tester: Tester, number: string, rest = {}): Promise<number> {
  const [told] = packetsOf(await send(tester, [{ number, message: freshText(), ...rest }]));
  expect(told?.sendingstatus).toBe(10);
  return told?.sendingid ?? 0;
}

interface Message {
  status: string;
  reason: string | null;
  expected_at: string | null;
  price: number;
  history: { status: string; reason: string | null }[];
}

async function message(token: string, id: number): Promise<Message> {
  const response = await request("GET", `/v1/messages/${id}`, { token });
  expect(response.status).toBe(200);
  return response.json<Message>();
}

function passTime(ms: number): void {
  vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + ms });
}

describe("a test key", () => {
  it("looks like any key, and begins with 7e57", async () => {
    const { apiKey, liveKey } = await newTester();
    expect(apiKey).toMatch(/^7e57[0-9a-f]{28}$/);
    expect(liveKey).toMatch(/^(?!7e57)[0-9a-f]{32}$/);
    await expect(
      env.DB.prepare(
        `INSERT INTO api_keys (account_id, hash, prefix, name, created_ms, mode)
         VALUES (1, 'x', 'abcdef', 'x', 1, 'test')`,
      ).run(),
    ).rejects.toThrow("7e57");
  });

  it("answers like a real one and holds, charges, counts and sends nothing", async () => {
    const tester = await newTester();
    const before = await foldOf(tester.accountId);
    const [told] = packetsOf(
      await send(tester, [{ number: "0812-3456-7890", message: freshText() }]),
    );
    expect(told).toMatchObject({
      number: NUMBER,
      sendingstatus: 10,
      sendingstatustext: "success",
      price: 200,
    });
    expect(String(told?.sendingid)).toMatch(/^\d{6,14}$/);
    expect(await foldOf(tester.accountId)).toEqual(before);
    expect(await cachedBalances(tester.accountId)).toMatchObject({ available: 10_000, held: 0 });
    const row = await env.DB.prepare(
      `SELECT (SELECT count(*) FROM messages WHERE account_id = ?1) AS real,
        (SELECT count(*) FROM test_messages WHERE account_id = ?1) AS test,
        (SELECT sum(used) FROM package_periods WHERE device_id = ?2) AS used`,
    )
      .bind(tester.accountId, tester.deviceId)
      .first();
    expect(row).toEqual({ real: 0, test: 1, used: 0 });
  });

  it("costs one D1 batch and no object call", async () => {
    const tester = await newTester();
    const calls: string[] = [];
    setSaboteur((crossing, call) => {
      calls.push(`${crossing.kind} ${crossing.name}`);
      return call();
    });
    await accepted(tester, NUMBER);
    expect(calls.filter((name) => name !== "d1 write_request_log")).toEqual(["d1 accept_test"]);
  });

  it("hears 90 when D1 is silent, and the first answer when only the answer was lost", async () => {
    const tester = await newTester();
    const warned = vi.spyOn(console, "warn").mockImplementation(() => {});
    let losses = 1;
    setSaboteur(async (crossing, call) => {
      const answer = await call();
      if (crossing.name === "accept_test" && losses > 0) {
        losses -= 1;
        throw new Error("the answer was lost");
      }
      return answer;
    });
    await accepted(tester, NUMBER);
    const row = await env.DB.prepare("SELECT count(*) AS n FROM test_messages WHERE account_id = ?")
      .bind(tester.accountId)
      .first();
    expect(row).toEqual({ n: 1 });
    losses = 2;
    const [told] = packetsOf(await send(tester, [{ number: NUMBER, message: freshText() }]));
    expect(told?.sendingstatus).toBe(90);
    warned.mockRestore();
  });

  it("answers a balance check like the real one", async () => {
    const tester = await newTester();
    const ask = async () => {
      const body = JSON.stringify({ apikey: tester.apiKey, waid: tester.waid });
      const response = await request("POST", BALANCE_PATH, { body });
      return (await response.json<{ balance_respon: [Record<string, unknown>] }>()).balance_respon;
    };
    expect(await ask()).toMatchObject([{ globalstatus: 10, Balance: "10000" }]);
    expect(await ask()).toMatchObject([{ globalstatus: 35 }]);
  });

  it("may send and read, and change nothing that is real", async () => {
    const { apiKey: token, waid } = await newTester();
    expect((await request("GET", "/v1/devices", { token })).status).toBe(200);
    const answer = await request("POST", `/v1/devices/${waid}/pair`, { token });
    expect(answer.status).toBe(403);
    expect(await answer.json()).toMatchObject({ code: "test_key_refused" });
  });

  it("never sees the QR by which a phone is paired", async () => {
    const { apiKey, liveKey, waid, deviceId, accountId } = await newTester();
    await request("POST", `/v1/devices/${waid}/pair`, { token: liveKey });
    const stub = env.DEVICES.get(env.DEVICES.idFromName(deviceId));
    const host = await connect({ identity: { deviceId, accountId, waid }, stub });
    await host.command("pair");
    await host.fact({ kind: "qr", qr: "2@secret", expiresAtMs: Date.now() + 20_000 });
    for (const path of [`/v1/devices/${waid}`, "/v1/devices"]) {
      const [live, test] = await Promise.all(
        [liveKey, apiKey].map(async (token) => (await request("GET", path, { token })).text()),
      );
      expect(live).toContain("2@secret");
      expect(test).toContain(
        '"status":"pairing","phone":null,"texts_kept":"everybody","paused_reason":null,"restricted_until":null,"pairing":null',
      );
    }
    host.hangUp();
  });
});

describe("the checks", () => {
  it("are those of the real path, but for the device's state", async () => {
    const tester = await newTester();
    const { waid } = tester;
    const told = packetsOf(
      await send(tester, [
        { number: "021-555 0123", message: freshText() },
        { number: NUMBER, message: "pendek" },
        { number: NUMBER, message: freshText(), sendingdatetime: "2027-13-01 10:00:00" },
        { number: NUMBER, message: freshText() },
      ]),
    );
    expect(told.map((packet) => packet.sendingstatus)).toEqual([60, 70, 70, 10]);
    const six = Array.from({ length: 6 }, () => ({ number: NUMBER, message: freshText() }));
    expect((await send(tester, six)).globalstatus).toBe(55);
    expect((await send({ ...tester, waid: "QQQQQQ" }, [{ number: NUMBER }])).globalstatus).toBe(30);
    const strict = await newKey(tester.accountId, { mode: "test", any_address: false });
    expect((await send({ apiKey: strict, waid }, [{ number: NUMBER }])).globalstatus).toBe(40);
    const broke = await newCustomer({ balance: 0 });
    const apiKey = await newKey(broke.accountId, { mode: "test" });
    expect((await send({ ...broke, apiKey }, [{ number: NUMBER }])).globalstatus).toBe(50);
    const poor = await newCustomer({ balance: 199 });
    const poorKey = await newKey(poor.accountId, { mode: "test" });
    const packets = [{ number: NUMBER, message: freshText() }];
    const [short] = packetsOf(await send({ ...poor, apiKey: poorKey }, packets));
    expect(short?.sendingstatus).toBe(80);
  });

  it("know duplicates, in one request and within a minute, and repeat none that ended unsent", async () => {
    const tester = await newTester();
    const same = { number: NUMBER, message: freshText() };
    const both = packetsOf(await send(tester, [same, same]));
    expect(both[0]?.sendingid).toBe(both[1]?.sendingid);
    expect(packetsOf(await send(tester, [same]))[0]?.sendingid).toBe(both[0]?.sendingid);
    const soon = { ...same, sendingdatetime: wallTime(Date.now() + 2_000).written };
    const [early] = packetsOf(await send(tester, [soon]));
    passTime(5_000);
    expect(packetsOf(await send(tester, [soon]))[0]?.sendingid).toBe(early?.sendingid);
    const unsent = { number: "6281200000040", message: freshText() };
    const [first] = packetsOf(await send(tester, [unsent]));
    passTime(10_000);
    const [again] = packetsOf(await send(tester, [unsent]));
    expect(again?.sendingid).not.toBe(first?.sendingid);
    passTime(61_000);
    expect(packetsOf(await send(tester, [same]))[0]?.sendingid).not.toBe(both[0]?.sendingid);
  });

  it("stop at a thousand test messages a day", async () => {
    const tester = await newTester();
    const id = await accepted(tester, NUMBER);
    await env.DB.prepare(
      `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 999)
       INSERT INTO test_messages (account_id, id, waid, key_id, nonce, recipient, category, price_rupiah, accepted_ms,
         due_ms, expires_ms)
       SELECT ?1, ?2 - i, '', 1, '', '', 'otp', 1, 1, 1, 1 FROM n`,
    )
      .bind(tester.accountId, id)
      .run();
    const [told] = packetsOf(await send(tester, [{ number: NUMBER, message: freshText() }]));
    expect(told?.sendingstatus).toBe(80);
  });
});

describe("documented numbers", () => {
  it.each([
    ["6281200000160", 60],
    ["6281200000170", 70],
    ["6281200000171", 70],
    ["6281200000172", 70],
    ["6281200000180", 80],
    ["6281200000181", 80],
    ["6281200000190", 90],
  ])("%s is answered %i, and its neighbour is not", async (number, code) => {
    const tester = await newTester();
    const told = packetsOf(
      await send(tester, [
        { number, message: freshText() },
        { number: NUMBER, message: freshText() },
      ]),
    );
    expect(told.map(({ sendingstatus }) => sendingstatus)).toEqual([code, 10]);
    expect(told[0]).toMatchObject({ sendingid: 0, price: 0, number });
  });

  it.each([
    ["6281200000130", 30],
    ["6281200000140", 40],
    ["6281200000150", 50],
    ["6281200000151", 50],
  ])("%s answers the whole request %i and stores nothing", async (number, code) => {
    const tester = await newTester();
    const packets = [
      { number: NUMBER, message: freshText() },
      { number, message: freshText() },
    ];
    expect(await send(tester, packets)).toEqual({
      globalstatus: code,
      globalstatustext: expect.any(String),
    });
    const row = await env.DB.prepare("SELECT count(*) AS n FROM test_messages WHERE account_id = ?")
      .bind(tester.accountId)
      .first();
    expect(row).toEqual({ n: 0 });
  });

  it("mean nothing with a live key", async () => {
    const customer = await newCustomer();
    const packets = ["6281200000160", "6281200000140"].map((number) => ({
      number,
      message: freshText(),
    }));
    const told = packetsOf(await send(customer, packets));
    expect(told.map(({ sendingstatus }) => sendingstatus)).toEqual([10, 10]);
  });

  it.each([
    ["6281200000010", "sent", null, ["pending", "pending", "sent"]],
    ["6281200000020", "received", null, ["pending", "pending", "sent", "received"]],
    ["6281200000030", "read", null, ["pending", "pending", "sent", "received", "read"]],
    ["6281200000040", "reject", "not_on_whatsapp", ["pending", "pending", "reject"]],
    ["6281200000050", "reject", "refused_by_whatsapp", ["pending", "pending", "reject"]],
    ["6281200000060", "cancel", "expired", ["pending", "cancel"]],
    ["6281200000070", "pending", "queued", ["pending"]],
    [NUMBER, "received", null, ["pending", "pending", "sent", "received"]],
  ])("%s ends as %s (%s)", async (number, status, reason, history) => {
    const tester = await newTester();
    const id = await accepted(tester, number);
    const first = await message(tester.apiKey, id);
    expect(first).toMatchObject({ status: "pending", reason: "queued", price: 200 });
    expect(first.expected_at).not.toBe(null);
    passTime(60_000);
    const last = await message(tester.apiKey, id);
    expect(last).toMatchObject({ status, reason });
    expect(last.history.map((entry) => entry.status)).toEqual(history);
  });

  it("wait for their time when they are scheduled", async () => {
    const tester = await newTester();
    const inAnHour = new Date(Date.now() + 8 * 3_600_000).toISOString().slice(0, 19);
    const id = await accepted(tester, NUMBER, { sendingdatetime: inAnHour });
    passTime(50 * 60_000);
    expect(await message(tester.apiKey, id)).toMatchObject({
      status: "pending",
      reason: "scheduled",
    });
    passTime(11 * 60_000);
    expect(await message(tester.apiKey, id)).toMatchObject({ status: "received" });
  });
});

describe("test messages", () => {
  it("are seen by test keys of the same account only", async () => {
    const [mine, theirs] = [await newTester(), await newTester()];
    const id = await accepted(mine, NUMBER);
    for (const token of [mine.liveKey, theirs.apiKey, theirs.liveKey]) {
      const response = await request("GET", `/v1/messages/${id}`, { token });
      expect(response.status).toBe(404);
    }
    const real = await newCustomer();
    const [told] = packetsOf(await send(real, [{ number: NUMBER, message: freshText() }]));
    const token = await newKey(real.accountId, { mode: "test" });
    expect((await request("GET", `/v1/messages/${told?.sendingid}`, { token })).status).toBe(404);
  });

  it("are listed to test keys apart from real ones", async () => {
    const tester = await newTester();
    await believe(tester.deviceId, "connected");
    const real = { apiKey: tester.liveKey, waid: tester.waid };
    const [told] = packetsOf(await send(real, [{ number: NUMBER, message: freshText() }]));
    const ids = [await accepted(tester, NUMBER), await accepted(tester, "6281200000040")];
    const listed = async (token: string, query = "") => {
      const response = await request("GET", `/v1/messages${query}`, { token });
      const { messages } = await response.json<{ messages: { id: number }[] }>();
      return messages.map(({ id }) => id);
    };
    expect(new Set(await listed(tester.apiKey))).toEqual(new Set(ids));
    expect(await listed(tester.apiKey, `?to=${NUMBER}`)).toEqual([ids[0]]);
    expect(await listed(tester.liveKey)).toEqual([told?.sendingid]);
    const queue = await request("GET", `/v1/devices/${tester.waid}/queue`, {
      token: tester.apiKey,
    });
    expect(queue.status).toBe(403);
  });

  it("are sent over /v1 as well, repeated under one name", async () => {
    const { apiKey: token, waid, accountId } = await newTester();
    const post = (text: string) =>
      request("POST", "/v1/messages", {
        token,
        headers: { "idempotency-key": "pesanan-7", "content-type": "application/json" },
        body: JSON.stringify({ device: waid, to: NUMBER, text }),
      });
    const first = await post("Pesanan nomor tujuh siap");
    expect(first.status).toBe(202);
    const { id } = await first.json<{ id: number }>();
    passTime(120_000);
    const again = await post("Pesanan nomor tujuh siap");
    expect(again.headers.get("idempotency-replayed")).toBe("true");
    expect(await again.json()).toMatchObject({ id });
    expect((await post("Pesanan nomor delapan siap")).status).toBe(422);
    expect(await foldOf(accountId)).toMatchObject({ held: 0, revenue: 0 });
  });

  it("are forgotten after seven days", async () => {
    const tester = await newTester();
    await accepted(tester, NUMBER);
    passTime(LOG_KEPT_MS + 60_000);
    await operator("POST", "/cron");
    const row = await env.DB.prepare("SELECT count(*) AS n FROM test_messages WHERE account_id = ?")
      .bind(tester.accountId)
      .first();
    expect(row).toEqual({ n: 0 });
  });
});
