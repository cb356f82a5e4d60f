/** /v1 on the real Worker: shapes, refusals as problem documents, and what strangers may learn (nothing). */
import { env } from "cloudflare:test";
import { describe, expect, it, vi } from "vitest";
import { setSaboteur } from "../../src/domain/crossing.ts";
import {
  freshText,
  newCustomer,
  newDevice,
  newKey,
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

/** Every route, with a device and a message of the customer. */
function routesOf(customer: Customer, messageId: number): [string, string][] {
  return [
    ["GET", "/v1/devices"],
    ["GET", `/v1/devices/${customer.waid}`],
    ["POST", `/v1/devices/${customer.waid}/pair`],
    ["POST", `/v1/devices/${customer.waid}/unpair`],
    ["GET", `/v1/messages/${messageId}`],
  ];
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
    const shape = { name: "Loket", status: "unpaired", phone: null, pairing: null };
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

describe("strangers", () => {
  it("are refused on every route: no key, a bad key, a revoked key, a closed account", async () => {
    const customer = await newCustomer();
    const routes = routesOf(customer, await sentMessage(customer));
    const revoked = await newKey(customer.accountId);
    await env.DB.prepare("UPDATE api_keys SET revoked = 1 WHERE account_id = ? AND prefix = ?")
      .bind(customer.accountId, revoked.slice(0, 6))
      .run();
    const closed = await newCustomer();
    await env.DB.prepare("UPDATE accounts SET status = 'closed' WHERE id = ?")
      .bind(closed.accountId)
      .run();
    for (const [method, path] of routes) {
      for (const token of [undefined, "x", "0".repeat(32), revoked, closed.apiKey]) {
        const response = await request(method, path, token === undefined ? {} : { token });
        expect(response.status).toBe(401);
        expect(response.headers.get("content-type")).toBe("application/problem+json");
        expect(response.headers.get("www-authenticate")).toBe("Bearer");
        expect(response.headers.get("cache-control")).toBe("no-store");
        expect(await response.json()).toMatchObject({
          code: "key_unknown",
          request_id: response.headers.get("x-request-id"),
        });
      }
    }
  });

  it("are refused on every route from an address that the key does not allow", async () => {
    const customer = await newCustomer();
    const token = await newKey(customer.accountId, {
      any_address: false,
      addresses: ["192.0.2.10"],
    });
    for (const [method, path] of routesOf(customer, await sentMessage(customer))) {
      const response = await request(method, path, { token });
      expect(response.status).toBe(403);
      const body = await response.json<{ code: string; detail: string }>();
      expect(body.code).toBe("address_not_allowed");
      expect(body.detail).toContain("203.0.113.7");
    }
    const allowed = await request("GET", "/v1/devices", { token, address: "192.0.2.10" });
    expect(allowed.status).toBe(200);
  });

  it("with a good key see nothing of another account", async () => {
    const [mine, theirs] = [await newCustomer(), await newCustomer()];
    const routes = routesOf(theirs, await sentMessage(theirs));
    for (const [method, path] of routes.slice(1)) {
      const response = await request(method, path, { token: mine.apiKey });
      expect(response.status).toBe(404);
    }
    const { body } = await get("/v1/devices", mine.apiKey);
    expect(JSON.stringify(body)).not.toContain(theirs.waid);
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
