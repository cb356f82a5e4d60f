/**
 * What the routes of /v1 are called with: a customer with a device, a message that waits, a second key and a
 * refused request, and for each route its path and body in terms of them. A route that is missing here fails the
 * tests that take every route.
 */
import { expect, vi } from "vitest";
import {
  freshText,
  newCustomer,
  newKey,
  packetsOf,
  send,
  type Customer,
  type CustomerWishes,
} from "./harness.ts";
import { logPage } from "./log.ts";
import { v1 } from "./v1.ts";

export interface World extends Customer {
  /** Scheduled far ahead, so that it waits. */
  messageId: number;
  /** Of a second key. */
  keyId: number;
  /** A request that was refused for its address. */
  requestId: string;
  /** A webhook to this machine, where nobody listens. */
  endpointId: string;
}

export async function newWorld(wishes: CustomerWishes = {}): Promise<World> {
  const customer = await newCustomer(wishes);
  const inADay = new Date(Date.now() + 86_400_000).toISOString().slice(0, 19);
  const packet = { number: "081310001001", message: freshText(), sendingdatetime: inADay };
  const messageId = packetsOf(await send(customer, [packet]))[0]?.sendingid ?? 0;
  const second = await newKey(customer.accountId, {
    any_address: false,
    addresses: ["192.0.2.10"],
  });
  const { body } = await v1("GET", "/keys", customer.apiKey);
  const [newest] = body["keys"] as { id: number }[];
  const requestId = await refusedRequestId(customer.apiKey, second);
  const endpoint = await v1("POST", "/endpoints", customer.apiKey, {
    url: "http://127.0.0.1:9/",
    format: "json",
    allow_http: true,
  });
  const endpointId = String(endpoint.body["id"]);
  return { ...customer, messageId, keyId: newest?.id ?? 0, requestId, endpointId };
}

/** Its id, once the request stands in the account's log. */
async function refusedRequestId(token: string, refusedToken: string): Promise<string> {
  const refused = await v1("GET", "/balance", refusedToken);
  expect(refused.status).toBe(403);
  const id = refused.headers.get("x-request-id") ?? "";
  await vi.waitFor(async () => expect(JSON.stringify(await logPage(token))).toContain(id), {
    timeout: 5_000,
    interval: 20,
  });
  return id;
}

interface Call {
  path: string;
  body?: unknown;
}

/** Each route, called about things of this world. */
export const CALLS: Record<string, (world: World) => Call> = {
  "POST /messages": ({ waid }) => ({
    path: "/messages",
    body: { device: waid, to: "081310001001", text: freshText() },
  }),
  "GET /messages": ({ waid }) => ({ path: `/messages?device=${waid}` }),
  "GET /messages/{id}": ({ messageId }) => ({ path: `/messages/${messageId}` }),
  "POST /messages/{id}/cancel": ({ messageId }) => ({ path: `/messages/${messageId}/cancel` }),
  "POST /devices/{waid}/resume": ({ waid }) => ({ path: `/devices/${waid}/resume` }),
  "POST /messages/cancel": ({ keyId, waid }) => ({
    path: "/messages/cancel",
    body: { key: keyId, device: waid },
  }),
  "GET /devices": () => ({ path: "/devices" }),
  "POST /devices": () => ({ path: "/devices", body: { name: "Apotek" } }),
  "GET /devices/{waid}": ({ waid }) => ({ path: `/devices/${waid}` }),
  "PATCH /devices/{waid}": ({ waid }) => ({ path: `/devices/${waid}`, body: { name: "Loket 2" } }),
  "DELETE /devices/{waid}": ({ waid }) => ({ path: `/devices/${waid}` }),
  "POST /devices/{waid}/pair": ({ waid }) => ({ path: `/devices/${waid}/pair`, body: {} }),
  "POST /devices/{waid}/unpair": ({ waid }) => ({ path: `/devices/${waid}/unpair` }),
  "GET /devices/{waid}/queue": ({ waid }) => ({ path: `/devices/${waid}/queue` }),
  "GET /keys": () => ({ path: "/keys" }),
  "POST /keys": () => ({ path: "/keys", body: { name: "Kunci" } }),
  "GET /keys/{id}": ({ keyId }) => ({ path: `/keys/${keyId}` }),
  "PATCH /keys/{id}": ({ keyId }) => ({ path: `/keys/${keyId}`, body: { name: "Kunci" } }),
  "DELETE /keys/{id}": ({ keyId }) => ({ path: `/keys/${keyId}` }),
  "PUT /keys/{id}/addresses": ({ keyId }) => ({
    path: `/keys/${keyId}/addresses`,
    body: { addresses: [] },
  }),
  "POST /keys/{id}/roll": ({ keyId }) => ({ path: `/keys/${keyId}/roll`, body: {} }),
  "GET /balance": () => ({ path: "/balance" }),
  "GET /requests": () => ({ path: "/requests" }),
  "POST /requests/{id}/allow-address": ({ requestId }) => ({
    path: `/requests/${requestId}/allow-address`,
    body: { prefix: "address" },
  }),
  "GET /account-events": () => ({ path: "/account-events" }),
  "POST /endpoints": () => ({
    path: "/endpoints",
    body: { url: "https://toko.co.id/kabar", format: "json" },
  }),
  "GET /endpoints": () => ({ path: "/endpoints" }),
  "GET /endpoints/{id}": ({ endpointId }) => ({ path: `/endpoints/${endpointId}` }),
  "PATCH /endpoints/{id}": ({ endpointId }) => ({
    path: `/endpoints/${endpointId}`,
    body: { enabled: false },
  }),
  "DELETE /endpoints/{id}": ({ endpointId }) => ({ path: `/endpoints/${endpointId}` }),
  "POST /endpoints/{id}/rotate": ({ endpointId }) => ({ path: `/endpoints/${endpointId}/rotate` }),
  "POST /endpoints/{id}/test": ({ endpointId }) => ({ path: `/endpoints/${endpointId}/test` }),
  "POST /endpoints/{id}/replay": ({ endpointId }) => ({
    path: `/endpoints/${endpointId}/replay`,
    body: { failed: true },
  }),
  "GET /endpoints/{id}/attempts": ({ endpointId }) => ({
    path: `/endpoints/${endpointId}/attempts`,
  }),
  "GET /endpoints/{id}/dead-letters": ({ endpointId }) => ({
    path: `/endpoints/${endpointId}/dead-letters`,
  }),
  "GET /events": () => ({ path: "/events" }),
  "PUT /events": () => ({ path: "/events", body: { kept: true } }),
  "GET /inbound": ({ waid }) => ({ path: `/inbound?device=${waid}` }),
};

/** Routes that name nothing of anybody: a stranger with a good key sees its own. */
export const NAMES_NOTHING = new Set([
  "GET /devices",
  "POST /devices",
  "GET /keys",
  "POST /keys",
  "GET /balance",
  "GET /requests",
  "GET /account-events",
  "POST /endpoints",
  "GET /endpoints",
  "GET /events",
  "PUT /events",
]);
