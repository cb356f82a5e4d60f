/** What each state of a device, the money and the queue before a message make of it: 10, 70, 80 or 90. */
import { env } from "cloudflare:test";
import { afterEach, describe, expect, it, vi } from "vitest";
import { Pace } from "../../src/device/pace.ts";
import type { DeviceStatus } from "../../src/domain/device-status.ts";
import { legsOf, rowOf, usedOf } from "./support/books.ts";
import {
  cachedBalances,
  foldOf,
  freshText,
  newCustomer,
  newKey,
  packetsOf,
  send,
  sendRaw,
  type Customer,
} from "./support/harness.ts";
import { expectGolden } from "./support/golden.ts";
import { phoneOf } from "./support/phone-of.ts";
import { v1 } from "./support/v1.ts";

const NUMBER = "6281234567890";
/** As many as one request may hold, all for now. */
const FIVE = ["", "", "", "", ""];

/** WIB, as the old API writes it. */
function inHours(hours: number): string {
  return new Date(Date.now() + (hours + 7) * 3_600_000).toISOString().slice(0, 19);
}

async function codes(customer: Pick<Customer, "apiKey" | "waid">, ...times: string[]) {
  const packets = times.map((sendingdatetime) => ({
    number: NUMBER,
    message: freshText(),
    sendingdatetime,
  }));
  return packetsOf(await send(customer, packets)).map((packet) => packet.sendingstatus);
}

afterEach(() => {
  vi.restoreAllMocks();
});

describe("a device that is", () => {
  it.each<[DeviceStatus, number[]]>([
    ["connected", [10, 10, 10]],
    ["reconnecting", [10, 10, 10]],
    ["paused", [10, 10, 10]],
    ["logged_out", [90, 90, 10]],
    ["unpaired", [90, 90, 90]],
    ["pairing", [90, 90, 90]],
    ["banned", [90, 90, 90]],
  ])("%s takes messages for now, for soon and for later: %j", async (status, told) => {
    const customer = await newCustomer({ status });
    expect(await codes(customer, "", inHours(0.9), inHours(1.1))).toEqual(told);
    const accepted = told.filter((code) => code === 10).length;
    expect(await foldOf(customer.accountId)).toMatchObject({ held: accepted * 200 });
    expect(await usedOf(customer.deviceId)).toBe(accepted);
  });
});

describe("a packet", () => {
  it("that is wrong in many ways hears the first of 60, 70, 80, 90", async () => {
    const customer = await newCustomer({ balance: 199, status: "banned" });
    const text = freshText();
    const told = packetsOf(
      await send(customer, [
        { number: "021-1234567", message: "" },
        { number: NUMBER, message: "" },
        { number: NUMBER, message: text, sendingdatetime: "besok" },
        { number: NUMBER, message: text },
      ]),
    );
    expect(told.map((packet) => packet.sendingstatus)).toEqual([60, 70, 70, 80]);
    const rich = await newCustomer({ status: "banned" });
    expect(await codes(rich, "")).toEqual([90]);
  });

  it("for a recipient who opted out is 70", async () => {
    const customer = await newCustomer();
    await env.DB.prepare("INSERT INTO opt_outs (device_id, number, at_ms) VALUES (?, ?, 0)")
      .bind(customer.deviceId, NUMBER)
      .run();
    expect(await codes(customer, "")).toEqual([70]);
    const other = { number: "6281234567891", message: freshText() };
    expect(packetsOf(await send(customer, [other]))[0]?.sendingstatus).toBe(10);
  });

  it("is 80 from the first one on that the money or the quota does not reach", async () => {
    const poor = await newCustomer({ balance: 500 });
    expect(await codes(poor, "", "", "")).toEqual([10, 10, 80]);
    expect(await cachedBalances(poor.accountId)).toMatchObject({ available: 100, held: 400 });
    const full = await newCustomer();
    await env.DB.prepare("UPDATE package_periods SET quota = 2 WHERE device_id = ?")
      .bind(full.deviceId)
      .run();
    expect(await codes(full, "", "", "")).toEqual([10, 10, 80]);
    expect(await usedOf(full.deviceId)).toBe(2);
  });
});

describe("a text that cannot leave within its life", () => {
  async function otpCustomer() {
    const customer = await newCustomer();
    const apiKey = await newKey(customer.accountId, { default_category: "otp" });
    // One text a minute, and nobody connected to take it: five fill the life of an OTP.
    vi.spyOn(Pace.prototype, "meanStepMs").mockReturnValue(60_000);
    return { ...customer, apiKey };
  }

  it("is 90 at once and costs nothing, while those before it stand", async () => {
    const customer = await otpCustomer();
    expect(await codes(customer, ...FIVE)).toEqual([10, 10, 10, 10, 10]);
    const raw = await sendRaw(customer, [{ number: NUMBER, message: freshText() }]);
    expectGolden("send-90", raw);
    await vi.waitFor(async () => {
      expect(await foldOf(customer.accountId)).toMatchObject({ available: 999_000, held: 1_000 });
    });
    expect(await usedOf(customer.deviceId)).toBe(5);
    const refused = await env.DB.prepare(
      "SELECT id, status, reason, body FROM messages WHERE account_id = ? AND status <> 'pending'",
    )
      .bind(customer.accountId)
      .all<{ id: number; status: string; reason: string; body: string | null }>();
    expect(refused.results).toEqual([
      { id: expect.any(Number) as number, status: "cancel", reason: "queue_too_long", body: null },
    ]);
    const legs = await legsOf(refused.results[0]?.id ?? 0);
    expect(legs.map(({ kind }) => kind)).toEqual(["hold", "void"]);
  });

  it("is judged within its request as well, packet by packet", async () => {
    const customer = await otpCustomer();
    await codes(customer, "", "", "");
    expect(await codes(customer, ...FIVE)).toEqual([10, 10, 90, 90, 90]);
  });

  it("is refused again when it is repeated, and taken once the queue is shorter", async () => {
    const customer = await otpCustomer();
    await codes(customer, ...FIVE);
    const packet = { number: NUMBER, message: freshText() };
    expectGolden("send-90", await sendRaw(customer, [packet]));
    expectGolden("send-90", await sendRaw(customer, [packet]));
    vi.restoreAllMocks();
    const [told] = packetsOf(await send(customer, [packet]));
    expect(told).toMatchObject({ sendingstatus: 10, price: 200 });
    expect(await rowOf(told?.sendingid ?? 0)).toMatchObject({ status: "pending" });
  });

  it("does not keep out what lives longer, or goes later", async () => {
    const customer = await otpCustomer();
    await codes(customer, ...FIVE);
    expect(await codes(customer, "", inHours(2))).toEqual([90, 10]);
    const apiKey = await newKey(customer.accountId);
    expect(await codes({ apiKey, waid: customer.waid }, "")).toEqual([10]);
  });
});

describe("a text to somebody new while WhatsApp lets the phone start no chats", () => {
  it("is 90 at once when it cannot live that long, costs nothing, and known numbers go on", async () => {
    const customer = await newCustomer();
    const otp = {
      waid: customer.waid,
      apiKey: await newKey(customer.accountId, { default_category: "otp" }),
    };
    const host = await phoneOf(customer);
    const known = { number: "081310009001", message: freshText() };
    await send(customer, [known]);
    const first = await host.command("send");
    await host.commitFor(first);
    await host.ack(first);
    await send(customer, [{ number: "081310009002", message: freshText() }]);
    const refused = await host.command("send");
    await host.commitFor(refused);
    await host.ack(refused, 463);

    const stranger = { number: NUMBER, message: freshText() };
    expectGolden("send-90", await sendRaw(otp, [stranger]));
    expectGolden("send-90", await sendRaw(otp, [stranger]));
    const told = await v1("POST", "/messages", otp.apiKey, {
      device: customer.waid,
      to: "081310009004",
      text: freshText(),
    });
    expect([told.status, told.body["code"]]).toEqual([409, "account_restricted"]);
    const [toKnown] = packetsOf(await send(otp, [{ ...known, message: freshText() }]));
    expect(toKnown).toMatchObject({ sendingstatus: 10 });
    await vi.waitFor(async () => {
      // Two texts were taken by WhatsApp, or are on their way to it; the refused ones cost nothing.
      expect(await usedOf(customer.deviceId)).toBe(2);
    });
  });
});
