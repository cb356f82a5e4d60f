/**
 * The old API's answers, byte for byte. Each golden file holds the raw text of one answer; what differs from run
 * to run (ids, today) stands in it as a named blank.
 */
import { env } from "cloudflare:test";
import { afterEach, describe, expect, it, vi } from "vitest";
import { setSaboteur } from "../../src/domain/crossing.ts";
import { expectGolden } from "./support/golden.ts";
import {
  BALANCE_PATH,
  believe,
  newCustomer,
  newKey,
  packetsOf,
  request,
  send,
  SEND_PATH,
  sendRaw,
  type Customer,
} from "./support/harness.ts";

const PACKET = { number: "6281234567890", message: "Pengingat: kontrol besok jam 09.00" };

async function balanceRaw(customer: Pick<Customer, "apiKey" | "waid">) {
  const body = JSON.stringify({ apikey: customer.apiKey, waid: customer.waid });
  const response = await request("POST", BALANCE_PATH, { body });
  return { raw: await response.text(), response };
}

afterEach(() => {
  setSaboteur(null);
  vi.restoreAllMocks();
});

describe("send", () => {
  it("10: answers accepted and refused packets in request order", async () => {
    const customer = await newCustomer();
    const raw = await sendRaw(customer, [
      PACKET,
      { number: "021-555 0123", message: "Telepon rumah tidak bisa" },
      { number: "0812-3456-7891", message: "terlalu" },
    ]);
    const id = /"sendingid":(\d{6,14})/.exec(raw)?.[1] ?? "";
    expectGolden("send-10", raw, { SENDINGID: id });
  });

  it("20: says so for anything that is no request", async () => {
    const bodies = ["", "a=b&c=d", "[]", "null", '{"apikey":"x"}', '{"datapacket":[]}', "{"];
    for (const body of bodies) {
      const response = await request("POST", SEND_PATH, { body });
      expect(response.status).toBe(200);
      expectGolden("send-20", await response.text());
    }
    expectGolden("send-20", await (await request("GET", SEND_PATH)).text());
    const huge = JSON.stringify({ datapacket: [PACKET], padding: "x".repeat(65_536) });
    expectGolden("send-20", await (await request("POST", SEND_PATH, { body: huge })).text());
  });

  it("30: says so for an unknown key, an unknown device, and a suspended account", async () => {
    const customer = await newCustomer();
    const { apiKey, waid } = customer;
    expectGolden("send-30", await sendRaw({ apiKey: "0".repeat(32), waid }, [PACKET]));
    expectGolden("send-30", await sendRaw({ apiKey: "not a key", waid }, [PACKET]));
    expectGolden("send-30", await sendRaw({ apiKey, waid: "QQQQQQ" }, [PACKET]));
    await env.DB.prepare("UPDATE accounts SET status = 'suspended' WHERE id = ?")
      .bind(customer.accountId)
      .run();
    expectGolden("send-30", await sendRaw(customer, [PACKET]));
  });

  it("40: says so for an address that is not on the key's list", async () => {
    const customer = await newCustomer();
    const apiKey = await newKey(customer.accountId, {
      any_address: false,
      addresses: ["198.51.100.0/24", "2001:db8::/32"],
    });
    const caller = { apiKey, waid: customer.waid };
    expectGolden("send-40", await sendRaw(caller, [PACKET]));
    expectGolden("send-40", await sendRaw(caller, [PACKET], { address: null }));
    const headers = { "x-forwarded-for": "198.51.100.9" };
    expectGolden("send-40", await sendRaw(caller, [PACKET], { headers }));
    for (const address of ["198.51.100.9", "2001:db8:1::9", "::ffff:198.51.100.9"]) {
      const answer = await send(caller, [PACKET], { address });
      expect(answer.globalstatus).toBe(10);
    }
  });

  it("50: says so when the balance or the package has expired", async () => {
    const never = await newCustomer({ balance: 0 });
    expectGolden("send-50", await sendRaw(never, [PACKET]));
    const customer = await newCustomer();
    await env.DB.prepare("UPDATE package_periods SET ends_ms = ? WHERE device_id = ?")
      .bind(Date.now() - 1, customer.deviceId)
      .run();
    expectGolden("send-50", await sendRaw(customer, [PACKET]));
  });

  it("55: says so for six packets and accepts none", async () => {
    const customer = await newCustomer();
    const six = Array.from({ length: 6 }, () => PACKET);
    expectGolden("send-55", await sendRaw(customer, six));
    const row = await env.DB.prepare("SELECT count(*) AS n FROM messages WHERE account_id = ?")
      .bind(customer.accountId)
      .first();
    expect(row).toEqual({ n: 0 });
  });

  it("checks in the order 20, 30, 40, 50, 55, also when no packet is good", async () => {
    const broke = await newCustomer({ balance: 0 });
    const apiKey = await newKey(broke.accountId, { any_address: false });
    const bad = Array.from({ length: 6 }, () => ({ number: "x" }));
    const { waid } = broke;
    expectGolden("send-30", await sendRaw({ apiKey: "0".repeat(32), waid }, bad));
    expectGolden("send-30", await sendRaw({ apiKey, waid: "QQQQQQ" }, bad));
    expectGolden("send-40", await sendRaw({ apiKey, waid }, bad));
    expectGolden("send-50", await sendRaw(broke, bad));
    expectGolden("send-50", await sendRaw(broke, bad.slice(0, 1)));
    expectGolden("send-55", await sendRaw(await newCustomer(), bad));
  });

  it("60: says so for numbers that are none, each as it came", async () => {
    const customer = await newCustomer();
    const raw = await sendRaw(customer, [
      { message: PACKET.message },
      { number: null, message: PACKET.message },
      { number: [1], message: PACKET.message },
      "no packet",
      { number: 12, message: PACKET.message },
    ]);
    expectGolden("send-60", raw);
  });

  it("70: says so for texts and times that cannot be", async () => {
    const customer = await newCustomer();
    const raw = await sendRaw(customer, [
      { number: PACKET.number },
      { number: PACKET.number, message: "pendek" },
      { number: PACKET.number, message: "x".repeat(1001) },
      { ...PACKET, sendingdatetime: "2027-13-01 10:00:00" },
      { ...PACKET, sendingdatetime: "2099-01-01 10:00:00" },
    ]);
    expectGolden("send-70", raw);
  });

  it("80: says so when the money does not reach", async () => {
    expectGolden("send-80", await sendRaw(await newCustomer({ balance: 199 }), [PACKET]));
  });

  it("90: says so for a device that cannot send, and when the books are out of reach", async () => {
    expectGolden("send-90", await sendRaw(await newCustomer({ status: "unpaired" }), [PACKET]));
    const customer = await newCustomer();
    vi.spyOn(console, "warn").mockImplementation(() => {});
    setSaboteur((crossing, call) =>
      crossing.kind === "d1" ? Promise.reject(new Error("no connection")) : call(),
    );
    expectGolden("send-90", await sendRaw(customer, [PACKET]));
  });

  it("90: leaves the packets that are wrong in themselves their own codes, and 55 its place", async () => {
    const customer = await newCustomer();
    vi.spyOn(console, "warn").mockImplementation(() => {});
    setSaboteur(() => Promise.reject(new Error("no connection")));
    const told = await send(customer, [PACKET, { number: "x" }, { number: PACKET.number }]);
    expect(packetsOf(told).map((packet) => packet.sendingstatus)).toEqual([90, 60, 70]);
    const six = Array.from({ length: 6 }, () => PACKET);
    expectGolden("send-55", await sendRaw(customer, six));
  });
});

describe("balance", () => {
  it("10: tells what is left and until when, once in a quarter of an hour", async () => {
    const customer = await newCustomer({ balance: 19_040 });
    await env.DB.prepare("UPDATE accounts SET balance_expires_on = '2099-12-31' WHERE id = ?")
      .bind(customer.accountId)
      .run();
    const period = await env.DB.prepare("SELECT ends_ms FROM package_periods WHERE device_id = ?")
      .bind(customer.deviceId)
      .first<{ ends_ms: number }>();
    const lastDay = new Date((period?.ends_ms ?? 0) - 1 + 7 * 3_600_000);
    const blanks = { WAID: customer.waid, LASTDAY: lastDay.toISOString().slice(0, 10) };
    expectGolden("balance-10", (await balanceRaw(customer)).raw, blanks);
    const again = await balanceRaw(customer);
    expectGolden("balance-35", again.raw);
    expect(Number(again.response.headers.get("retry-after"))).toBeGreaterThan(890);
    expect(again.response.status).toBe(200);
  });

  it("10: shows unlimited as a number, and yesterday for what never was", async () => {
    const customer = await newCustomer({ balance: 0, plan: "C", status: "unpaired" });
    const yesterday = new Date(Date.now() - 17 * 3_600_000).toISOString().slice(0, 10);
    const { raw } = await balanceRaw(customer);
    const told = JSON.parse(raw) as { balance_respon: [Record<string, unknown>] };
    expect(told.balance_respon[0]).toMatchObject({
      Balance: "0",
      Expired: yesterday,
      "WhatsApp Balance": "999999999",
    });
  });

  it("20, 30, 40: say so like a send", async () => {
    const customer = await newCustomer();
    const empty = await request("POST", BALANCE_PATH, { body: "" });
    expectGolden("balance-20", await empty.text());
    const { waid } = customer;
    expectGolden("balance-30", (await balanceRaw({ apiKey: "0".repeat(32), waid })).raw);
    expectGolden("balance-30", (await balanceRaw({ ...customer, waid: "QQQQQQ" })).raw);
    const apiKey = await newKey(customer.accountId, { any_address: false });
    expectGolden("balance-40", (await balanceRaw({ apiKey, waid })).raw);
    expectGolden("balance-30", (await balanceRaw({ apiKey, waid: "QQQQQQ" })).raw);
    // None of these started the quarter of an hour.
    expect((await balanceRaw(customer)).raw).toContain('"globalstatus":10');
  });

  it("25: says so when it cannot be found out", async () => {
    const customer = await newCustomer();
    vi.spyOn(console, "warn").mockImplementation(() => {});
    setSaboteur((crossing, call) =>
      crossing.kind === "object" ? Promise.reject(new Error("no connection")) : call(),
    );
    expectGolden("balance-25", (await balanceRaw(customer)).raw);
  });
});

describe("a device's state after acceptance", () => {
  it("does not change what a repeat within the minute hears", async () => {
    const customer = await newCustomer();
    const first = await sendRaw(customer, [PACKET]);
    await believe(customer.deviceId, "logged_out");
    expect(await sendRaw(customer, [PACKET])).toBe(first);
  });
});
