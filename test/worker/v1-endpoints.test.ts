/** Webhooks over /v1: made, changed, tested, replayed and deleted; what devices hear of it; events asked for. */
import { env } from "cloudflare:test";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { setSaboteur } from "../../src/domain/crossing.ts";
import { runCron } from "../../src/gateway/cron.ts";
import { dataOf, inboundText, typesOf } from "./device-events-support.ts";
import type { ScriptedHost } from "./device-host.ts";
import { pairedHost, rowsOf, type TestDevice, unwrap } from "./device-support.ts";
import { DAY_MS, HOST, Receiver } from "./endpoint-support.ts";
import {
  cachedBalances,
  freshText,
  newCustomer,
  newDevice,
  newKey,
  OPERATOR_TOKEN,
  request,
  type Customer,
} from "./support/harness.ts";
import { v1 } from "./support/v1.ts";

const URL = `https://${HOST}/kabar`;
let customer: Customer;

beforeEach(async () => {
  customer = await newCustomer();
});

afterEach(() => {
  setSaboteur(null);
  vi.restoreAllMocks();
});

async function create(wish: object = { url: URL, format: "json" }, token = customer.apiKey) {
  return v1("POST", "/endpoints", token, wish);
}

async function created(wish?: object): Promise<string> {
  const { status, body } = await create(wish);
  expect(status).toBe(201);
  return String(body["id"]);
}

async function operator(method: string, path: string, body?: unknown): Promise<Response> {
  const parts = { token: OPERATOR_TOKEN };
  return request(
    method,
    path,
    body === undefined ? parts : { ...parts, body: JSON.stringify(body) },
  );
}

const hosts = new Map<string, ScriptedHost>();

async function testDevice(waid: string): Promise<TestDevice> {
  const row = await env.DB.prepare("SELECT id, account_id FROM devices WHERE waid = ?")
    .bind(waid)
    .first<{ id: string; account_id: number }>();
  if (row === null) throw new Error(`no device ${waid}`);
  const identity = { deviceId: row.id, accountId: row.account_id, waid };
  const stub = env.DEVICES.get(env.DEVICES.idFromName(row.id));
  await unwrap(stub.install(identity));
  return { identity, stub };
}

async function deviceRows(waid: string, query: string): Promise<unknown[]> {
  return rowsOf(await testDevice(waid), query);
}

/** A text comes in at the customer's device, whose phone is paired at the first one. */
async function inboundAt(waid: string, text: string): Promise<void> {
  const host = hosts.get(waid) ?? (await pairedHost(await testDevice(waid)));
  hosts.set(waid, host);
  expect(await host.commit({ inbound: [inboundText({ text })] })).toBe("committed");
}

describe("a new endpoint", () => {
  it("shows its secret once and is known to every device at once, also to one made later", async () => {
    const { status, body } = await create();
    expect(status).toBe(201);
    expect(body["secret"]).toMatch(/^whsec_[A-Za-z0-9+/]+=*$/);
    const one = await v1("GET", `/endpoints/${String(body["id"])}`, customer.apiKey);
    expect(one.body).toMatchObject({ url: URL, format: "json", enabled: true, waiting: 0 });
    expect(JSON.stringify(one.body)).not.toContain("whsec_");
    const list = await v1("GET", "/endpoints", customer.apiKey);
    expect(list.body["endpoints"]).toEqual([one.body]);
    const feeds = "SELECT endpoint_id AS id, types FROM feeds";
    expect(await deviceRows(customer.waid, feeds)).toEqual([{ id: body["id"], types: null }]);
    const later = await newDevice(customer.accountId);
    await runCron(env);
    expect(await deviceRows(later.waid, feeds)).toEqual([{ id: body["id"], types: null }]);
  });

  it("is refused as a form without a kind, with types for a form, and at an address of ours", async () => {
    const wishes: [object, string][] = [
      [{ url: URL, format: "form" }, "body_malformed"],
      [{ url: URL, format: "json", kind: "inbox" }, "body_malformed"],
      [{ url: URL, format: "form", kind: "inbox", events: ["message.sent"] }, "body_malformed"],
      [{ url: URL, format: "xml" }, "body_malformed"],
      [{ url: URL, format: "json", events: [] }, "body_malformed"],
      [{ url: `http://${HOST}/`, format: "json" }, "url_refused"],
      [{ url: "https://10.0.0.1/", format: "json" }, "url_refused"],
      [{ url: "https://intranet/", format: "json" }, "url_refused"],
    ];
    for (const [wish, code] of wishes) {
      const { status, body } = await create(wish);
      expect([wish, status, body["code"]]).toEqual([wish, 422, code]);
    }
    const other = await newCustomer();
    const stranger = await create({ url: URL, format: "json", devices: [other.waid] });
    expect([stranger.status, stranger.body["code"]]).toEqual([404, "device_unknown"]);
    expect((await v1("GET", "/endpoints", customer.apiKey)).body).toEqual({ endpoints: [] });
  });

  it("is one of twenty at most", async () => {
    for (let count = 0; count < 20; count += 1) await created();
    const { status, body } = await create();
    expect([status, body["code"]]).toEqual([409, "too_many_endpoints"]);
  });

  it("is not for test keys, nor is what they could read through it", async () => {
    const testKey = await newKey(customer.accountId, { mode: "test" });
    for (const path of ["/endpoints", "/events", `/inbound?device=${customer.waid}`]) {
      expect([path, (await v1("GET", path, testKey)).status]).toEqual([path, 403]);
    }
    expect((await create(undefined, testKey)).status).toBe(403);
  });
});

describe("an endpoint", () => {
  it("narrowed to kinds and devices is told to those devices only", async () => {
    const second = await newDevice(customer.accountId);
    const form = await created({ url: URL, format: "form", kind: "inbox" });
    const narrow = await created({ url: URL, format: "json", devices: [second.waid] });
    const feeds = "SELECT endpoint_id AS id, types FROM feeds ORDER BY types";
    expect(await deviceRows(customer.waid, feeds)).toEqual([
      { id: form, types: '["message.inbound"]' },
    ]);
    expect(await deviceRows(second.waid, feeds)).toHaveLength(2);
    const changed = await v1("PATCH", `/endpoints/${narrow}`, customer.apiKey, {
      devices: null,
      events: ["message.read"],
    });
    expect(changed.body).toMatchObject({ devices: null, events: ["message.read"] });
    expect(await deviceRows(customer.waid, feeds)).toHaveLength(2);
    const formChange = await v1("PATCH", `/endpoints/${form}`, customer.apiKey, {
      events: ["message.read"],
    });
    expect(formChange.status).toBe(422);
  });

  it("that a device could not be told of is told by the cron", async () => {
    setSaboteur(async (crossing, call) => {
      if (crossing.name === "device.configure") throw new Error("the wire broke");
      return call();
    });
    const id = await created();
    setSaboteur(null);
    const feeds = "SELECT endpoint_id AS id FROM feeds";
    await runCron(env);
    expect(await deviceRows(customer.waid, feeds)).toEqual([{ id }]);
  });

  it("that is deleted forgets everything, also when its object was not reached at first", async () => {
    const id = await created();
    setSaboteur(async (crossing, call) => {
      if (crossing.name === "endpoint.close") throw new Error("the wire broke");
      return call();
    });
    expect((await v1("DELETE", `/endpoints/${id}`, customer.apiKey)).status).toBe(200);
    setSaboteur(null);
    expect((await v1("GET", `/endpoints/${id}`, customer.apiKey)).status).toBe(404);
    expect(await deviceRows(customer.waid, "SELECT 1 FROM feeds")).toEqual([]);
    await runCron(env);
    const stub = env.ENDPOINTS.get(env.ENDPOINTS.idFromName(id));
    const view = await stub.view({ endpointId: id, accountId: customer.accountId });
    expect(view).toEqual({ ok: false, error: { reason: "blank" } });
    const left = await env.DB.prepare("SELECT 1 FROM endpoints WHERE id = ?").bind(id).first();
    expect(left).toBeNull();
  });

  it("gets test events, shows its attempts, and delivers again what is asked for", async () => {
    const receiver = new Receiver();
    const id = await created();
    const test = await v1("POST", `/endpoints/${id}/test`, customer.apiKey);
    expect(test.status).toBe(202);
    await vi.waitFor(() => expect(receiver.ids).toEqual([test.body["event"]]));
    await vi.waitFor(async () => {
      const { body } = await v1("GET", `/endpoints/${id}/attempts`, customer.apiKey);
      expect(body["attempts"]).toMatchObject([
        { event: test.body["event"], attempt: 1, outcome: "delivered", status: 200 },
      ]);
    });
    const again = await v1("POST", `/endpoints/${id}/replay`, customer.apiKey, {
      event: test.body["event"],
    });
    expect(again.body).toEqual({ queued: 1, next_cursor: null });
    await vi.waitFor(() => expect(receiver.ids).toHaveLength(2));
    const rotated = await v1("POST", `/endpoints/${id}/rotate`, customer.apiKey);
    expect(rotated.body["secret"]).toMatch(/^whsec_/);
    const dead = await v1("GET", `/endpoints/${id}/dead-letters`, customer.apiKey);
    expect(dead.body).toEqual({ dead_letters: [], next_cursor: null });
    for (const wish of [{}, { event: "a", failed: true }, { since: "2026-11-22T00:00:00Z" }]) {
      const bad = await v1("POST", `/endpoints/${id}/replay`, customer.apiKey, wish);
      expect(bad.status).toBe(422);
    }
  });
});

describe("account events", () => {
  it("reach the JSON endpoints that want them, in order, and not the one they are about", async () => {
    const receiver = new Receiver();
    const [first, second] = [
      await created(),
      await created({ url: `${URL}/2`, format: "json", events: ["account.refusals"] }),
    ];
    const tell = async (type: string, data: object) =>
      env.DB.prepare(
        `INSERT INTO account_events (account_id, id, type, subject, hour_ms, at_ms, data)
         SELECT ?1, max(?2 * 1000, coalesce((SELECT max(id) + 1 FROM account_events WHERE account_id = ?1), 0)),
           ?3, hex(randomblob(4)), ?2 / 3600000 * 3600000, ?2, ?4`,
      )
        .bind(customer.accountId, Date.now() + 1, type, JSON.stringify(data))
        .run();
    await tell("account.refusals", { reason: "too_many_messages", code: "55", count: 74 });
    await tell("endpoint.disabled", {
      endpoint: second,
      url: URL,
      stage: "disabled",
      reason: "gone",
      failing_since: null,
    });
    await tell("endpoint.disabled", {
      endpoint: first,
      url: URL,
      stage: "disabled",
      reason: "gone",
      failing_since: null,
    });
    await runCron(env);
    await vi.waitFor(() => expect(receiver.deliveries).toHaveLength(3));
    await runCron(env);
    const at = (url: string) =>
      receiver.deliveries.filter((one) => one.url === url).map(({ type }) => type);
    expect(at(URL)).toEqual(["account.refusals", "endpoint.disabled"]);
    expect(at(`${URL}/2`)).toEqual(["account.refusals"]);
    expect(dataOf(receiver, "endpoint.disabled")).toMatchObject([{ endpoint: second }]);
    expect(receiver.deliveries).toHaveLength(3);

    const asked = await v1("GET", "/events", customer.apiKey);
    const types = (asked.body["events"] as { type: string }[]).map(({ type }) => type);
    expect(types).toEqual(["account.refusals", "endpoint.disabled", "endpoint.disabled"]);
  });
});

describe("events that are asked for", () => {
  it("come in the order of their stores, over devices, each once", async () => {
    await v1("PUT", "/events", customer.apiKey, { kept: true });
    const second = await newDevice(customer.accountId);
    await runCron(env);
    const expected: string[] = [];
    for (let at = 0; at < 5; at += 1) {
      for (const waid of [customer.waid, second.waid]) {
        expected.push(`${waid} ${at}`);
        await inboundAt(waid, `${waid} ${at}`);
      }
    }
    const seen: string[] = [];
    let after = "";
    for (let page = 0; page < 20; page += 1) {
      const { body } = await v1("GET", `/events?limit=3&after=${after}`, customer.apiKey);
      const events = body["events"] as { type: string; data: { text: string } }[];
      const texts = events.filter(({ type }) => type === "message.inbound");
      seen.push(...texts.map(({ data }) => data.text));
      after = String(body["next"]);
      if (body["has_more"] === false) break;
    }
    expect(seen.toSorted()).toEqual(expected.toSorted());
    expect(seen.filter((text) => text.startsWith(second.waid))).toEqual(
      expected.filter((text) => text.startsWith(second.waid)),
    );
    await inboundAt(customer.waid, "one more");
    const { body } = await v1("GET", `/events?after=${after}`, customer.apiKey);
    expect(body["events"]).toHaveLength(1);
    expect((await v1("GET", "/events?after=nonsense", customer.apiKey)).status).toBe(422);
  });

  it("stand beside the texts of a device", async () => {
    await inboundAt(customer.waid, "Selamat pagi");
    await inboundAt(customer.waid, "Masih ada?");
    const path = `/inbound?device=${customer.waid}&limit=1`;
    const first = await v1("GET", path, customer.apiKey);
    expect(first.body["inbound"]).toMatchObject([{ text: "Masih ada?", from_me: false }]);
    const next = String(first.body["next_cursor"]);
    const second = await v1("GET", `${path}&cursor=${next}`, customer.apiKey);
    expect(second.body).toMatchObject({ inbound: [{ text: "Selamat pagi" }], next_cursor: null });
  });
});

describe("the operator", () => {
  it("chooses how long an account's texts are kept, at its devices and webhooks", async () => {
    const id = await created();
    const path = `/operator/accounts/${customer.accountId}`;
    const changed = await operator("PATCH", path, { texts_kept_days: 7 });
    expect(changed.status).toBe(204);
    expect(await deviceRows(customer.waid, "SELECT texts_kept_ms AS ms FROM device")).toEqual([
      { ms: 7 * DAY_MS },
    ]);
    const stub = env.ENDPOINTS.get(env.ENDPOINTS.idFromName(id));
    const view = await unwrap(stub.view({ endpointId: id, accountId: customer.accountId }));
    expect(view.settings.retentionMs).toBe(7 * DAY_MS);
    expect((await operator("PATCH", path, {})).status).toBe(422);
    expect((await operator("PATCH", "/operator/accounts/0", { low_balance: 1 })).status).toBe(404);
  });

  it("closes an account: keys, webhooks and devices end, texts go", async () => {
    const receiver = new Receiver();
    const id = await created();
    await inboundAt(customer.waid, "jangan disimpan");
    await vi.waitFor(() => expect(typesOf(receiver)).toContain("message.inbound"));
    const device = await testDevice(customer.waid);
    const closed = await operator("DELETE", `/operator/accounts/${customer.accountId}`);
    expect([closed.status, await closed.json()]).toEqual([200, { unreached: 0 }]);
    expect((await v1("GET", "/devices", customer.apiKey)).status).toBe(401);
    const stub = env.ENDPOINTS.get(env.ENDPOINTS.idFromName(id));
    const view = await stub.view({ endpointId: id, accountId: customer.accountId });
    expect(view).toEqual({ ok: false, error: { reason: "blank" } });
    await vi.waitFor(async () =>
      expect(await rowsOf(device, "SELECT 1 FROM inbound WHERE body IS NOT NULL")).toEqual([]),
    );
    const again = await operator("DELETE", `/operator/accounts/${customer.accountId}`);
    expect(await again.json()).toEqual({ unreached: 0 });
  });
});

it("a balance that falls below its line is told once each time", async () => {
  const receiver = new Receiver();
  await created();
  const { available: before } = await cachedBalances(customer.accountId);
  const line = before - 100;
  await operator("PATCH", `/operator/accounts/${customer.accountId}`, { low_balance: line });
  const sent = async () =>
    v1("POST", "/messages", customer.apiKey, {
      device: customer.waid,
      to: "081310001001",
      text: freshText(),
      send_at: new Date(Date.now() + 3_600_000).toISOString(),
    });
  for (let count = 0; count < 2; count += 1) expect((await sent()).status).toBe(202);
  await runCron(env);
  await vi.waitFor(() => expect(typesOf(receiver, "account.")).toEqual(["account.balance_low"]));
  const [{ available, threshold } = {}] = dataOf(receiver, "account.balance_low");
  expect(threshold).toBe(line);
  expect(Number(available)).toBeLessThan(line);
});

it("whose texts a device keeps is the customer's choice", async () => {
  const changed = await v1("PATCH", `/devices/${customer.waid}`, customer.apiKey, {
    texts_kept: "nobody",
  });
  expect(changed.body).toMatchObject({ texts_kept: "nobody", name: "Loket" });
  expect(await deviceRows(customer.waid, "SELECT texts_kept FROM device")).toEqual([
    { texts_kept: "nobody" },
  ]);
  const one = await v1("GET", `/devices/${customer.waid}`, customer.apiKey);
  expect(one.body).toMatchObject({ texts_kept: "nobody" });
});

it("events of one account never reach another's endpoint", async () => {
  const receiver = new Receiver();
  await created();
  const other = await newCustomer();
  await create({ url: `${URL}/other`, format: "json" }, other.apiKey);
  await inboundAt(other.waid, "bukan untuk Anda");
  await vi.waitFor(() => expect(typesOf(receiver)).toContain("message.inbound"));
  expect(new Set(receiver.deliveries.map(({ url }) => url))).toEqual(new Set([`${URL}/other`]));
});
