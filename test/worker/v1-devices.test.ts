/** A customer's own devices by /v1: made without a package, renamed, and deleted for ever. */
import { env } from "cloudflare:test";
import { describe, expect, it, vi } from "vitest";
import { deviceClient } from "../../src/device/client.ts";
import {
  cachedBalances,
  foldOf,
  freshText,
  newCustomer,
  operator,
  send,
  sendRaw,
  type Customer,
} from "./support/harness.ts";
import { v1 } from "./support/v1.ts";

function identityOf({ deviceId, accountId, waid }: Customer) {
  return { deviceId, accountId, waid };
}

describe("a device of one's own", () => {
  it("is made without a phone and a package, and may be paired before it may send", async () => {
    const customer = await newCustomer();
    const made = await v1("POST", "/devices", customer.apiKey, { name: "  Apotek  " });
    expect(made.status).toBe(201);
    expect(made.body).toMatchObject({ name: "Apotek", status: "unpaired", phone: null });
    const waid = String(made.body["id"]);
    expect(waid).toMatch(/^[A-HJKMNP-Z2-9]{6}$/);
    const paired = await v1("POST", `/devices/${waid}/pair`, customer.apiKey, {});
    expect(paired.body).toMatchObject({ status: "pairing" });
    const packet = { number: "081310001001", message: freshText() };
    expect((await send({ ...customer, waid }, [packet])).globalstatus).toBe(50);
    const { body } = await v1("GET", "/balance", customer.apiKey);
    expect(body["devices"]).toMatchObject([
      { id: customer.waid, plan: "A", package: { quota: 6000, used: 0, left: 6000 } },
      { id: waid, plan: null, package: null },
    ]);
  });

  it("is one of at most 200, deleted ones included", async () => {
    const customer = await newCustomer();
    await env.DB.prepare(
      `INSERT INTO devices (id, waid, account_id, name, created_ms, deleted_ms)
       WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 199)
       SELECT printf('%032x', ?1 * 1000 + i), printf('A%d', ?1 * 1000 + i), ?1, 'x', 1, i % 2 FROM n`,
    )
      .bind(customer.accountId)
      .run();
    const refused = await v1("POST", "/devices", customer.apiKey, { name: "Satu lagi" });
    expect([refused.status, refused.body["code"]]).toEqual([409, "too_many_devices"]);
  });

  it("takes another name", async () => {
    const customer = await newCustomer();
    const renamed = await v1("PATCH", `/devices/${customer.waid}`, customer.apiKey, {
      name: "Loket 2",
    });
    expect(renamed.body).toMatchObject({ id: customer.waid, name: "Loket 2" });
    const { body } = await v1("GET", "/devices", customer.apiKey);
    expect(body["devices"]).toMatchObject([{ name: "Loket 2" }]);
    for (const name of ["", "   ", "x".repeat(101)]) {
      const answer = await v1("PATCH", `/devices/${customer.waid}`, customer.apiKey, { name });
      expect(answer.status).toBe(422);
    }
  });

  it("has a name that shows as it was written, and so have keys and accounts", async () => {
    const customer = await newCustomer();
    const { apiKey, waid, accountId } = customer;
    for (const name of ["a\u0000b", "a\nb", "a\u202Eb", "a\u2066b", "a\u2028b", "a\uD800b"]) {
      const sentence = "name: holds no control characters and none that turn";
      const answers = [
        await v1("PATCH", `/devices/${waid}`, apiKey, { name }),
        await v1("POST", "/devices", apiKey, { name }),
        await v1("POST", "/keys", apiKey, { name }),
      ];
      for (const { status, body } of answers) {
        expect([status, body["code"]]).toEqual([422, "body_malformed"]);
        expect(body["detail"]).toContain(sentence);
      }
      for (const path of ["/accounts", `/accounts/${accountId}/keys`]) {
        await expect(operator("POST", path, { name })).rejects.toThrow("422");
      }
    }
    const name = "Apotek “Sehat” 👨‍👩‍👧 صيدلية";
    const renamed = await v1("PATCH", `/devices/${waid}`, apiKey, { name });
    expect(renamed.body).toMatchObject({ name });
  });
});

describe("a deleted device", () => {
  async function deleted() {
    const customer = await newCustomer();
    const later = new Date(Date.now() + 86_400_000).toISOString().slice(0, 19);
    const packets = [1, 2].map(() => ({
      number: "081310001001",
      message: freshText(),
      sendingdatetime: later,
    }));
    const sent = await send(customer, packets);
    const ids = (sent.datapacket ?? []).map(({ packet }) => packet.sendingid);
    const answer = await v1("DELETE", `/devices/${customer.waid}`, customer.apiKey);
    expect(answer.status).toBe(200);
    expect(answer.body).toEqual({ id: customer.waid, deleted: true });
    return { customer, ids };
  }

  it("gives back what was held for its queue, and its messages can still be read", async () => {
    const { customer, ids } = await deleted();
    await vi.waitFor(async () => expect((await foldOf(customer.accountId)).held).toBe(0));
    expect(await cachedBalances(customer.accountId)).toMatchObject({ available: 1_000_000 });
    for (const id of ids) {
      const { body } = await v1("GET", `/messages/${id}`, customer.apiKey);
      expect(body).toMatchObject({ status: "cancel", reason: "device_deleted" });
    }
    const listed = await v1("GET", "/messages", customer.apiKey);
    expect(listed.body["messages"]).toHaveLength(2);
  });

  it("is nobody's any more, in either api and for the operator", async () => {
    const { customer } = await deleted();
    const { waid, apiKey } = customer;
    const calls: [string, string, unknown?][] = [
      ["GET", `/devices/${waid}`],
      ["PATCH", `/devices/${waid}`, { name: "Lagi" }],
      ["DELETE", `/devices/${waid}`],
      ["POST", `/devices/${waid}/pair`, {}],
      ["POST", `/devices/${waid}/unpair`],
      ["GET", `/devices/${waid}/queue`],
      ["POST", "/messages", { device: waid, to: "081310001001", text: freshText() }],
      ["POST", "/messages/cancel", { device: waid }],
    ];
    for (const [method, path, body] of calls) {
      const answer = await v1(method, path, apiKey, body);
      expect([answer.status, answer.body["code"]], `for ${path}`).toEqual([404, "device_unknown"]);
    }
    expect((await v1("GET", "/devices", apiKey)).body).toEqual({ devices: [] });
    const packet = { number: "081310001001", message: freshText() };
    expect(await sendRaw(customer, [packet])).toContain('"globalstatus":30');
    const { devices } = await operator<{ devices: { waid: string }[] }>("GET", "/devices");
    expect(devices.map((one) => one.waid)).not.toContain(waid);
    const row = await env.DB.prepare("SELECT waid FROM devices WHERE id = ?")
      .bind(customer.deviceId)
      .first();
    expect(row).toEqual({ waid });
    const subscription = await env.DB.prepare(
      "SELECT active FROM subscriptions WHERE device_id = ?",
    )
      .bind(customer.deviceId)
      .first();
    expect(subscription).toEqual({ active: 0 });
  });

  it("has an object that does nothing more, but ends what reaches it late", async () => {
    const { customer } = await deleted();
    const device = deviceClient(env.DEVICES);
    const who = identityOf(customer);
    const closed = { ok: false, error: { reason: "closed" } };
    expect(await device.view(who)).toEqual(closed);
    expect(await device.pair(who, null)).toEqual(closed);
    expect(await device.unpair(who)).toEqual(closed);
    expect(await device.queueView(who, 10)).toEqual(closed);
    expect(await device.waiting(who, 0, 10)).toEqual(closed);
    expect(await device.checkBalanceWindow(who, 1)).toEqual(closed);
    expect(await device.close(who)).toEqual({ ok: true, value: null });
    const late = {
      id: Math.floor(Date.now() / 1000 - 1_735_689_600) * 100_000 + 7,
      nonce: "n",
      to: "6281310001001",
      text: "Terlambat sekali",
      category: "notification" as const,
      priceRupiah: 200,
      periodId: 1,
      acceptedMs: Date.now(),
      dueMs: Date.now(),
      expiresMs: Date.now() + 60_000,
    };
    expect(await device.enqueue(who, [late])).toEqual({
      ok: true,
      value: [{ id: late.id, status: "cancel", reason: "device_deleted" }],
    });
  });

  it("that never had a phone or a message is deleted all the same", async () => {
    const customer = await newCustomer({ status: "unpaired" });
    const answer = await v1("DELETE", `/devices/${customer.waid}`, customer.apiKey);
    expect(answer.status).toBe(200);
    expect(await deviceClient(env.DEVICES).view(identityOf(customer))).toMatchObject({
      error: { reason: "closed" },
    });
  });
});
