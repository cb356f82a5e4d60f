/** /v1 on the real Worker: what devices and messages look like, and what stands where nobody serves. */
import { describe, expect, it, vi } from "vitest";
import { setSaboteur } from "../../src/domain/crossing.ts";
import {
  freshText,
  newCustomer,
  newDevice,
  packetsOf,
  request,
  send,
  type Customer,
} from "./support/harness.ts";

async function get(path: string, token: string) {
  const response = await request("GET", path, { token });
  return {
    status: response.status,
    body: await response.json<Record<string, unknown>>(),
    response,
  };
}

async function sentMessage(customer: Customer): Promise<number> {
  const packet = { number: "081234567890", message: freshText() };
  return packetsOf(await send(customer, [packet]))[0]?.sendingid ?? 0;
}

describe("devices", () => {
  it("are listed, and shown one by one, as their objects see them", async () => {
    const customer = await newCustomer({ status: "unpaired" });
    const second = await newDevice(customer.accountId);
    const { status, body, response } = await get("/v1/devices", customer.apiKey);
    expect(status).toBe(200);
    expect(response.headers.get("cache-control")).toBe("no-store");
    expect(response.headers.get("x-request-id")).toMatch(/^req_/);
    const shape = {
      name: "Loket",
      status: "unpaired",
      phone: null,
      texts_kept: "everybody",
      paused_reason: null,
      restricted_until: null,
      pairing: null,
    };
    expect(body["devices"]).toHaveLength(2);
    expect(body["devices"]).toContainEqual({ id: customer.waid, ...shape });
    expect(body["devices"]).toContainEqual({ id: second.waid, ...shape });
    expect((await get(`/v1/devices/${customer.waid}`, customer.apiKey)).body).toEqual({
      id: customer.waid,
      ...shape,
    });
  });

  it("start pairing by QR or by code, and stop", async () => {
    const customer = await newCustomer({ status: "unpaired" });
    const post = async (path: string, body?: unknown) => {
      const response = await request("POST", `/v1/devices/${customer.waid}${path}`, {
        token: customer.apiKey,
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
      return { status: response.status, body: await response.json<Record<string, unknown>>() };
    };
    expect(await post("/pair")).toMatchObject({ status: 200, body: { status: "pairing" } });
    expect((await get(`/v1/devices/${customer.waid}`, customer.apiKey)).body).toMatchObject({
      status: "pairing",
    });
    expect(await post("/unpair")).toMatchObject({ status: 200, body: { status: "unpaired" } });
    expect(await post("/pair", { phone: "021-5550123" })).toMatchObject({
      status: 422,
      body: { code: "body_malformed" },
    });
    expect(await post("/pair", { phone: 5 })).toMatchObject({ status: 422 });
    expect(await post("/pair", { phone: "0811-0000-0001" })).toMatchObject({
      status: 200,
      body: { status: "pairing" },
    });
  });
});

describe("a message", () => {
  it("is told by its device", async () => {
    const customer = await newCustomer();
    const id = await sentMessage(customer);
    const { status, body } = await get(`/v1/messages/${id}`, customer.apiKey);
    expect(status).toBe(200);
    expect(Object.keys(body)).toEqual([
      "id",
      "device",
      "to",
      "status",
      "reason",
      "expected_at",
      "price",
      "history",
    ]);
    expect(body).toMatchObject({
      id,
      device: customer.waid,
      to: "6281234567890",
      status: "pending",
      price: 200,
    });
    expect(body["history"]).toMatchObject([{ status: "pending" }]);
  });

  it("is told by the index while the device cannot be reached", async () => {
    const customer = await newCustomer();
    const warn = vi.spyOn(console, "warn").mockImplementation(() => {});
    setSaboteur((crossing, call) =>
      crossing.kind === "object" ? Promise.reject(new Error("unreachable")) : call(),
    );
    const id = await sentMessage(customer);
    const { body } = await get(`/v1/messages/${id}`, customer.apiKey);
    expect(body).toMatchObject({ id, status: "pending", reason: "queued", price: 200 });
    setSaboteur(null);
    warn.mockRestore();
  });
});

describe("what nobody serves", () => {
  it("is a problem document with a request id", async () => {
    for (const path of ["/", "/v2/x", "/sms/other.php", "/v1"]) {
      const response = await request("GET", path, { token: "0".repeat(32) });
      expect([401, 404]).toContain(response.status);
      expect(response.headers.get("x-request-id")).toMatch(/^req_/);
    }
    const { body } = await get("/nothing", "x");
    expect(body).toMatchObject({ status: 404, code: "route_unknown" });
  });

  it("does not tell what went wrong inside", async () => {
    const alert = vi.spyOn(console, "error").mockImplementation(() => {});
    const customer = await newCustomer();
    setSaboteur(() => Promise.reject(new Error("secret detail")));
    const { status, body } = await get("/v1/devices", customer.apiKey);
    setSaboteur(null);
    expect(status).toBe(500);
    expect(JSON.stringify(body)).not.toContain("secret detail");
    expect(JSON.stringify(alert.mock.calls)).not.toContain("secret detail");
    alert.mockRestore();
  });
});
