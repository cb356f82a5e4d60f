/** The operator's API: who gets in, and what it makes. */
import { describe, expect, it } from "vitest";
import { operator as routes } from "../../src/api/operator/routes.ts";
import {
  foldOf,
  freshText,
  newCustomer,
  operator,
  OPERATOR_TOKEN,
  packetsOf,
  request,
  send,
} from "./support/harness.ts";

/** Every route there is, from the router itself. */
const ROUTES = routes.routes
  .filter(({ method }) => method !== "ALL")
  .map(({ method, path }) => [method, path.replaceAll(/:\w+/g, "1")] as const);

async function ask(method: string, path: string, body?: unknown) {
  const response = await request(method, `/operator${path}`, {
    token: OPERATOR_TOKEN,
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  return { status: response.status, body: await response.json<Record<string, unknown>>() };
}

describe("the door", () => {
  it("stays shut on every route without the token", async () => {
    expect(ROUTES.length).toBeGreaterThan(25);
    for (const [method, path] of ROUTES) {
      for (const token of [undefined, "wrong", `${OPERATOR_TOKEN}x`]) {
        const response = await request(method, `/operator${path}`, token ? { token } : {});
        expect(response.status).toBe(401);
        expect(await response.json()).toMatchObject({ code: "operator_unknown" });
      }
    }
  });
});

describe("bodies", () => {
  it("that are wrong are refused with the field's name", async () => {
    expect(await ask("POST", "/accounts", { name: "" })).toMatchObject({
      status: 422,
      body: { code: "body_malformed", detail: expect.stringContaining("name") },
    });
    expect(await ask("POST", "/accounts", { name: "x", zone: "Asia/Tokyo" })).toMatchObject({
      status: 422,
    });
    const { accountId } = await newCustomer();
    const wrong: [string, unknown][] = [
      ["top-ups", { amount: 0, reference: "a" }],
      ["top-ups", { amount: 1.5, reference: "a" }],
      ["top-ups", { amount: 1, reference: "a", expires_on: "2027-02-30" }],
      ["keys", { name: "x", addresses: ["10.0.0.0/33"] }],
      ["devices", { name: "x", plan: "D" }],
    ];
    for (const [path, body] of wrong) {
      expect(await ask("POST", `/accounts/${accountId}/${path}`, body)).toMatchObject({
        status: 422,
      });
    }
  });

  it("for an account that does not exist make nothing", async () => {
    const path = "/accounts/999999";
    const made: [string, unknown][] = [
      ["top-ups", { amount: 1, reference: "r-none" }],
      ["keys", { name: "x" }],
      ["devices", { name: "x", plan: "A" }],
    ];
    for (const [what, body] of made) {
      expect(await ask("POST", `${path}/${what}`, body)).toMatchObject({
        status: 404,
        body: { code: "account_unknown" },
      });
    }
    expect(await ask("GET", `${path}/balances`)).toMatchObject({ status: 404 });
  });
});

describe("what it makes", () => {
  it("is a key of 32 hex digits, a waid of 6 characters and a device id", async () => {
    const customer = await newCustomer();
    expect(customer.apiKey).toMatch(/^[0-9a-f]{32}$/);
    expect(customer.waid).toMatch(/^[A-HJKMNP-Z2-9]{6}$/);
    expect(customer.deviceId).toMatch(/^[0-9a-f]{32}$/);
    const { devices } = await operator<{ devices: unknown[] }>("GET", "/devices?status=connected");
    expect(devices).toContainEqual({
      device_id: customer.deviceId,
      waid: customer.waid,
      account_id: customer.accountId,
      name: "Loket",
      status: "connected",
      phone: "6281100000001",
    });
    expect(await ask("GET", "/devices?status=asleep")).toMatchObject({ status: 422 });
  });

  it("is a host that may dial in, until it is revoked", async () => {
    const host = await operator<{ id: string; token: string }>("POST", "/hosts", {
      name: "vps-1",
      devices_max: 10,
    });
    expect(host.token.length).toBeGreaterThanOrEqual(32);
    const { hosts } = await operator<{ hosts: { id: string }[] }>("GET", "/hosts");
    expect(hosts).toContainEqual({
      id: host.id,
      name: "vps-1",
      devices_max: 10,
      connected: false,
      draining: false,
      drained: false,
      client_version: null,
      client_refused: false,
      protocol: null,
      devices: 0,
    });
    expect(JSON.stringify(hosts)).not.toContain(host.token);
    await operator("DELETE", `/hosts/${host.id}`);
    expect(await ask("DELETE", "/hosts/nobody")).toMatchObject({ status: 404 });
  });
});

describe("a payment", () => {
  it("extends the balance once, and a refused one never does", async () => {
    const { accountId, apiKey } = await newCustomer({ balance: 0 });
    const path = `/accounts/${accountId}/top-ups`;
    const expiry = async () => {
      const response = await request("GET", "/v1/balance", { token: apiKey });
      return (await response.json<{ expires_on: string }>()).expires_on;
    };
    const inYears = (years: number) => `${String(new Date().getUTCFullYear() + years)}-01-15`;
    const reference = crypto.randomUUID();
    const paid = { amount: 1_000, reference, expires_on: inYears(1) };
    expect(await ask("POST", path, paid)).toMatchObject({
      status: 200,
      body: { available: 1_000 },
    });
    expect(await expiry()).toBe(inYears(1));
    const other = { amount: 2_000, reference, expires_on: inYears(5) };
    expect(await ask("POST", path, other)).toMatchObject({
      status: 409,
      body: { code: "reference_used" },
    });
    expect(await expiry()).toBe(inYears(1));
    const repeat = { ...paid, expires_on: inYears(6) };
    expect(await ask("POST", path, repeat)).toMatchObject({
      status: 200,
      body: { available: 1_000 },
    });
    expect(await expiry()).toBe(inYears(1));
    const next = { amount: 5, reference: crypto.randomUUID() };
    expect(await ask("POST", path, { ...next, expires_on: "9999-12-31" })).toMatchObject({
      status: 422,
      body: { detail: "expires_on: is more than ten years ahead." },
    });
    expect(await ask("POST", path, { ...next, expires_on: inYears(9) })).toMatchObject({
      status: 200,
      body: { available: 1_005 },
    });
    expect(await expiry()).toBe(inYears(9));
  });
});

describe("the money line of a message", () => {
  it("shows its transfers as they stand", async () => {
    const customer = await newCustomer({ balance: 1_000 });
    const [told] = packetsOf(
      await send(customer, [{ number: "6281234567890", message: freshText() }]),
    );
    const { transfers } = await operator<{ transfers: Record<string, unknown>[] }>(
      "GET",
      `/messages/${told?.sendingid}/transfers`,
    );
    expect(transfers).toMatchObject([
      { leg: "hold", kind: "hold", debit: "available", credit: "held", amount: 200 },
    ]);
    expect(Date.parse(String(transfers[0]?.["at"]))).toBeGreaterThan(0);
    expect(await foldOf(customer.accountId)).toMatchObject({ held: 200 });
  });
});
