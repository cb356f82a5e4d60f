/** An account's own keys by /v1: made, listed, changed, limited to addresses, rolled and revoked. */
import { env } from "cloudflare:test";
import { describe, expect, it, vi } from "vitest";
import {
  CLIENT_ADDRESS,
  freshText,
  newCustomer,
  send,
  sendRaw,
  type Customer,
} from "./support/harness.ts";
import { v1 } from "./support/v1.ts";

interface Made {
  id: number;
  apiKey: string;
}

async function make(customer: Customer, fields: Record<string, unknown> = {}): Promise<Made> {
  const { status, body } = await v1("POST", "/keys", customer.apiKey, {
    name: "Kasir",
    any_address: true,
    ...fields,
  });
  expect(status, `for ${JSON.stringify(body)}`).toBe(201);
  return { id: Number(body["id"]), apiKey: String(body["api_key"]) };
}

async function statusWith(apiKey: string, address = CLIENT_ADDRESS): Promise<number> {
  return (await v1("GET", "/balance", apiKey, undefined, { address })).status;
}

describe("a key", () => {
  it("is shown once, kept as a hash, and listed by its first digits", async () => {
    const customer = await newCustomer();
    const { id, apiKey } = await make(customer, { default_category: "otp", encoding: "plain" });
    expect(apiKey).toMatch(/^[0-9a-f]{32}$/);
    expect(await statusWith(apiKey)).toBe(200);
    expect(await statusWith(`kbr_${apiKey}`)).toBe(200);
    const listed = await v1("GET", "/keys", customer.apiKey);
    expect(JSON.stringify(listed.body)).not.toContain(apiKey);
    const [newest] = listed.body["keys"] as Record<string, unknown>[];
    expect(newest).toMatchObject({
      id,
      name: "Kasir",
      prefix: apiKey.slice(0, 6),
      mode: "live",
      revoked: false,
      valid_until: null,
      default_category: "otp",
      encoding: "plain",
      duplicate_window: true,
      warning: null,
    });
    const everything = await env.DB.prepare("SELECT * FROM api_keys").all();
    expect(JSON.stringify(everything.results)).not.toContain(apiKey);
  });

  it("without addresses may be used from nowhere, and says so", async () => {
    const customer = await newCustomer();
    const { body } = await v1("POST", "/keys", customer.apiKey, { name: "Kosong" });
    expect(body["warning"]).toBe("No address may use this key: its list is empty.");
    expect(await statusWith(String(body["api_key"]))).toBe(403);
  });

  it("takes another name, category, encoding and duplicate window", async () => {
    const customer = await newCustomer();
    const { id, apiKey } = await make(customer);
    const change = { default_category: "otp", duplicate_window: false };
    const changed = await v1("PATCH", `/keys/${id}`, customer.apiKey, change);
    expect(changed.body).toMatchObject({ ...change, name: "Kasir", encoding: "auto" });
    const packet = { number: "081310001001", message: freshText() };
    const key = { apiKey, waid: customer.waid };
    const [one, two] = [await send(key, [packet]), await send(key, [packet])];
    expect(one.datapacket?.[0]?.packet.sendingid).not.toBe(two.datapacket?.[0]?.packet.sendingid);
    const { results } = await env.DB.prepare("SELECT category FROM messages WHERE key_id = ?")
      .bind(id)
      .all();
    expect(results).toEqual([{ category: "otp" }, { category: "otp" }]);
  });

  it("is one of at most 100 in use", async () => {
    const customer = await newCustomer();
    await env.DB.prepare(
      `INSERT INTO api_keys (account_id, hash, prefix, name, revoked, created_ms)
       WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 150)
       SELECT ?1, printf('%d-%d', ?1, i), 'aaaaaa', 'x', i > 99, 1 FROM n`,
    )
      .bind(customer.accountId)
      .run();
    const refused = await v1("POST", "/keys", customer.apiKey, { name: "Satu lagi" });
    expect([refused.status, refused.body["code"]]).toEqual([409, "too_many_keys"]);
    const listed = await v1("GET", "/keys", customer.apiKey);
    const [newest] = listed.body["keys"] as { id: number; revoked: boolean }[];
    expect(newest?.revoked).toBe(true);
    const own = (listed.body["keys"] as { id: number; revoked: boolean }[]).at(-1);
    const rolled = await v1("POST", `/keys/${own?.id}/roll`, customer.apiKey, {});
    expect([rolled.status, rolled.body["code"]]).toEqual([409, "too_many_keys"]);
    expect(await statusWith(customer.apiKey)).toBe(200);
  });
});

describe("a key that is made and revoked again and again", () => {
  it("is one of at most 200 a day", async () => {
    const customer = await newCustomer();
    const fill = (createdMs: number) =>
      env.DB.prepare(
        `INSERT INTO api_keys (account_id, hash, prefix, name, revoked, created_ms)
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 199)
         SELECT ?1, printf('%d-%d-%d', ?1, ?2, i), 'aaaaaa', 'x', 1, ?2 FROM n`,
      )
        .bind(customer.accountId, createdMs)
        .run();
    await fill(Date.now() - 25 * 3_600_000);
    const made = await v1("POST", "/keys", customer.apiKey, { name: "Satu lagi" });
    expect(made.status).toBe(201);
    await fill(Date.now() - 3_600_000);
    const refused = await v1("POST", "/keys", customer.apiKey, { name: "Satu lagi" });
    expect([refused.status, refused.body["code"]]).toEqual([409, "too_many_keys"]);
    const id = (made.body["key"] as { id: number } | undefined)?.id ?? made.body["id"];
    const rolled = await v1("POST", `/keys/${String(id)}/roll`, customer.apiKey, {});
    expect([rolled.status, rolled.body["code"]]).toEqual([409, "too_many_keys"]);
  });
});

describe("the addresses of a key", () => {
  it("are replaced all at once, canonical, IPv4, IPv6 and networks", async () => {
    const customer = await newCustomer();
    const { id, apiKey } = await make(customer, { any_address: false, addresses: ["192.0.2.10"] });
    const put = (addresses: string[], more = {}) =>
      v1("PUT", `/keys/${id}/addresses`, customer.apiKey, { addresses, ...more });
    const replaced = await put([
      "203.0.113.77/28",
      "2001:DB8:0:0::0001",
      "2001:db8:1::/48",
      "198.51.100.1",
      "198.51.100.1",
    ]);
    expect(replaced.body["addresses"]).toEqual([
      "198.51.100.1",
      "203.0.113.64/28",
      "2001:db8::1",
      "2001:db8:1::/48",
    ]);
    const tries: [string, number][] = [
      ["203.0.113.64", 200],
      ["203.0.113.79", 200],
      ["203.0.113.80", 403],
      ["203.0.113.63", 403],
      ["2001:db8::1", 200],
      ["2001:db8::2", 403],
      ["2001:db8:1:ffff:1::9", 200],
      ["2001:db8:2::", 403],
      ["::ffff:198.51.100.1", 200],
      ["192.0.2.10", 403],
    ];
    for (const [address, status] of tries) {
      expect(await statusWith(apiKey, address), `for ${address}`).toBe(status);
    }
    const open = await put([], { any_address: true });
    expect(open.body).toMatchObject({ addresses: [], any_address: true, warning: null });
    expect(await statusWith(apiKey, "192.0.2.99")).toBe(200);
  });

  it("that are none are refused by name, and the list stays as it was", async () => {
    const customer = await newCustomer();
    const { id } = await make(customer, { any_address: false, addresses: ["192.0.2.10"] });
    for (const wrong of ["rumah", "10.0.0.0/33", "10.0.0.256", "::1/129", "fe80::1%eth0", ""]) {
      const { status, body } = await v1("PUT", `/keys/${id}/addresses`, customer.apiKey, {
        addresses: ["198.51.100.1", wrong],
      });
      expect([status, body["code"]], `for ${wrong}`).toEqual([422, "body_malformed"]);
      expect(body["detail"]).toContain("addresses.1");
    }
    const { body } = await v1("GET", `/keys/${id}`, customer.apiKey);
    expect(body["addresses"]).toEqual(["192.0.2.10"]);
    const many = Array.from({ length: 101 }, (_, n) => `10.0.0.${n}`);
    expect(
      (await v1("PUT", `/keys/${id}/addresses`, customer.apiKey, { addresses: many })).status,
    ).toBe(422);
  });

  it("may shut out the very key that sets them, which is told", async () => {
    const customer = await newCustomer();
    const { id, apiKey } = await make(customer);
    const kept = await v1("PUT", `/keys/${id}/addresses`, apiKey, {
      addresses: ["203.0.113.0/24"],
      any_address: false,
    });
    expect(kept.body["warning"]).toBeNull();
    const shut = await v1("PUT", `/keys/${id}/addresses`, apiKey, { addresses: ["192.0.2.10"] });
    expect(shut.status).toBe(200);
    expect(shut.body["warning"]).toBe(
      "This request came with this key from 203.0.113.7, which may not use it any more.",
    );
    expect(await statusWith(apiKey)).toBe(403);
    expect(await statusWith(apiKey, "192.0.2.10")).toBe(200);
  });
});

describe("a revoked key", () => {
  it("is refused at once, by both apis, and stays revoked", async () => {
    const customer = await newCustomer();
    const { id, apiKey } = await make(customer);
    expect(await statusWith(apiKey)).toBe(200);
    for (let n = 0; n < 2; n += 1) {
      const revoked = await v1("DELETE", `/keys/${id}`, customer.apiKey);
      expect(revoked.body).toMatchObject({ id, revoked: true });
    }
    expect(await statusWith(apiKey)).toBe(401);
    const packet = { number: "081310001001", message: freshText() };
    expect(await sendRaw({ apiKey, waid: customer.waid }, [packet])).toContain('"globalstatus":30');
    const [newest] = (await v1("GET", "/keys", customer.apiKey)).body["keys"] as unknown[];
    expect(newest).toMatchObject({ id, revoked: true });
    const rolled = await v1("POST", `/keys/${id}/roll`, customer.apiKey, {});
    expect([rolled.status, rolled.body["code"]]).toEqual([404, "api_key_unknown"]);
  });

  it("may be the caller's own, which is told that it was the last time", async () => {
    const customer = await newCustomer();
    const { id, apiKey } = await make(customer);
    const { body } = await v1("DELETE", `/keys/${id}`, apiKey);
    expect(body["warning"]).toBe("This request was the last one with this key.");
    expect(await statusWith(apiKey)).toBe(401);
  });
});

describe("a rolled key", () => {
  it("has a successor with its settings and addresses, and ends a day later", async () => {
    const customer = await newCustomer();
    const old = await make(customer, {
      any_address: false,
      addresses: ["203.0.113.0/24", "2001:db8::/32"],
      default_category: "reminder",
      duplicate_window: false,
      encoding: "urlencoded",
    });
    const rolled = await v1("POST", `/keys/${old.id}/roll`, customer.apiKey);
    expect(rolled.status).toBe(201);
    const apiKey = String(rolled.body["api_key"]);
    expect(rolled.body).toMatchObject({
      name: "Kasir",
      valid_until: null,
      any_address: false,
      addresses: ["203.0.113.0/24", "2001:db8::/32"],
      default_category: "reminder",
      duplicate_window: false,
      encoding: "urlencoded",
    });
    expect(rolled.body["id"]).not.toBe(old.id);
    expect([await statusWith(apiKey), await statusWith(old.apiKey)]).toEqual([200, 200]);
    const { body } = await v1("GET", `/keys/${old.id}`, customer.apiKey);
    const leftMs = Date.parse(String(body["valid_until"])) - Date.now();
    expect(leftMs).toBeGreaterThan(86_300_000);
    expect(leftMs).toBeLessThanOrEqual(86_400_000);
  });

  it("is refused by the accepting batch and everything else from its last moment on", async () => {
    const customer = await newCustomer();
    const old = await make(customer);
    const sender = { apiKey: old.apiKey, waid: customer.waid };
    const packet = () => ({ number: "081310001001", message: freshText() });
    await v1("POST", `/keys/${old.id}/roll`, customer.apiKey, { overlap_s: 60 });
    expect((await send(sender, [packet()])).globalstatus).toBe(10);
    vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + 61_000 });
    try {
      expect((await send(sender, [packet()])).globalstatus).toBe(30);
      expect(await statusWith(old.apiKey)).toBe(401);
    } finally {
      vi.useRealTimers();
    }
  });

  it("without an overlap ends at once, and never later than it was to end before", async () => {
    const customer = await newCustomer();
    const old = await make(customer);
    await v1("POST", `/keys/${old.id}/roll`, customer.apiKey, { overlap_s: 3600 });
    await v1("POST", `/keys/${old.id}/roll`, customer.apiKey, { overlap_s: 86_400 });
    const { body } = await v1("GET", `/keys/${old.id}`, customer.apiKey);
    expect(Date.parse(String(body["valid_until"])) - Date.now()).toBeLessThanOrEqual(3_600_000);
    await v1("POST", `/keys/${old.id}/roll`, customer.apiKey, { overlap_s: 0 });
    expect(await statusWith(old.apiKey)).toBe(401);
    const again = await v1("POST", `/keys/${old.id}/roll`, customer.apiKey, {});
    expect(again.body["code"]).toBe("api_key_unknown");
  });
});
