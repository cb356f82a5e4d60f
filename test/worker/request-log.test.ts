/** The request log: what a customer's developer reads after a refusal, and who may not read it. */
import { env, SELF } from "cloudflare:test";
import { afterEach, describe, expect, it, vi } from "vitest";
import { setSaboteur } from "../../src/domain/crossing.ts";
import { refusalSentence } from "../../src/domain/refusal-sentences.ts";
import {
  BALANCE_PATH,
  CLIENT_ADDRESS,
  freshText,
  newCustomer,
  newKey,
  operator,
  request,
  send,
  SEND_PATH,
  sendRaw,
} from "./support/harness.ts";
import { logPage, oldLines } from "./support/log.ts";
import { openApi } from "./support/v1.ts";

const NUMBER = "6281234567890";

afterEach(() => {
  setSaboteur(null);
  vi.useRealTimers();
  vi.restoreAllMocks();
});

describe("a line", () => {
  it("tells who asked what from where, and how it went", async () => {
    const customer = await newCustomer();
    const body = {
      apikey: customer.apiKey,
      waid: customer.waid,
      datapacket: [
        { number: NUMBER, message: freshText() },
        { number: "021-555", message: freshText() },
        { number: NUMBER, message: "pendek" },
        { number: NUMBER, message: "singkat" },
      ],
    };
    const response = await request("POST", SEND_PATH, { body: JSON.stringify(body) });
    const [line] = await oldLines(customer.apiKey, 1);
    expect(line).toMatchObject({
      id: response.headers.get("x-request-id"),
      address: CLIENT_ADDRESS,
      key: { prefix: customer.apiKey.slice(0, 6), name: "Aplikasi" },
      endpoint: `POST ${SEND_PATH}`,
      code: "10",
      packets: { accepted: 1, refused: 3 },
      plain_http: false,
    });
    expect(line?.refusals).toMatchObject([
      { code: "60", reason: "number_invalid", count: 1 },
      { code: "70", reason: "text_invalid", count: 2 },
    ]);
    for (const { rule } of line?.refusals ?? []) {
      expect(rule?.id.length).toBeGreaterThan(20);
      expect(rule?.en.length).toBeGreaterThan(20);
    }
    expect(Math.abs(Date.parse(line?.at ?? "") - Date.now())).toBeLessThan(60_000);
    expect(line?.duration_ms).toBeGreaterThanOrEqual(0);
  });

  it("holds no text, no recipient's number and no key", async () => {
    const customer = await newCustomer();
    await send(customer, [{ number: NUMBER, message: "Rahasia pasien nomor tujuh" }]);
    await oldLines(customer.apiKey, 1);
    const { results } = await env.DB.prepare("SELECT * FROM request_log").all();
    const stored = JSON.stringify(results);
    expect(stored).toContain("req_");
    expect(stored).not.toContain("Rahasia");
    expect(stored).not.toContain(NUMBER);
    expect(stored).not.toContain(customer.apiKey);
  });

  it("is left by every code of the old API, with the reason that the code hides", async () => {
    const customer = await newCustomer();
    const { apiKey, waid, accountId } = customer;
    const strict = await newKey(accountId, { any_address: false });
    const revoked = await newKey(accountId);
    await env.DB.prepare("UPDATE api_keys SET revoked = 1 WHERE prefix = ?")
      .bind(revoked.slice(0, 6))
      .run();
    const packet = { number: NUMBER, message: freshText() };
    const six = Array.from({ length: 6 }, () => packet);
    await request("POST", SEND_PATH, { body: `{"apikey":"${apiKey}","waid":"${waid}",}` });
    await request("POST", SEND_PATH, { body: `apikey=${apiKey}&waid=${waid}` });
    await request("POST", SEND_PATH, { body: JSON.stringify(JSON.stringify({ apikey: apiKey })) });
    await send({ apiKey: revoked, waid }, [packet]);
    await send({ apiKey, waid: "QQQQQQ" }, [packet]);
    await send({ apiKey: strict, waid }, [packet]);
    await send(customer, six);
    const balance = JSON.stringify({ apikey: apiKey, waid });
    await request("POST", BALANCE_PATH, { body: balance });
    await request("POST", BALANCE_PATH, { body: balance });
    const lines = await oldLines(apiKey, 9);
    const told = lines.map(({ code, refusals: [first] }) =>
      first === undefined ? code : `${code} ${first.reason} ${first.count}`,
    );
    expect(told.toReversed()).toEqual([
      "20 body_malformed 1",
      "20 body_malformed 1",
      "20 body_malformed 1",
      "30 key_revoked 1",
      "30 device_unknown 1",
      "40 address_not_allowed 1",
      "55 too_many_messages 6",
      "10",
      "35 balance_check_too_soon 1",
    ]);
  });

  it("is left by /v1 with the problem's code and the route's pattern", async () => {
    const customer = await newCustomer();
    await request("GET", "/v1/messages/123456", { token: customer.apiKey });
    await vi.waitFor(async () => {
      const { requests } = await logPage(customer.apiKey, "?code=message_unknown");
      expect(requests).toMatchObject([
        {
          endpoint: "GET /v1/messages/{id}",
          code: "message_unknown",
          refusals: [{ reason: "message_unknown", rule: { en: expect.any(String) } }],
        },
      ]);
    });
  });

  it("has a sentence for every code that the document names", async () => {
    const told = JSON.stringify(await openApi());
    const codes = [...told.matchAll(/Refused: ([a-z_, ]+)/g)].flatMap(([, list = ""]) =>
      list.split(", "),
    );
    expect(codes).toContain("number_invalid");
    expect(codes.filter((code) => refusalSentence(code) === null)).toEqual([]);
  });

  it("marks a key that travelled over plain http", async () => {
    const customer = await newCustomer();
    const body = JSON.stringify({ apikey: customer.apiKey, waid: customer.waid });
    await SELF.fetch(`http://kabar.test${BALANCE_PATH}`, { method: "POST", body });
    const [line] = await oldLines(customer.apiKey, 1);
    expect(line).toMatchObject({ plain_http: true, address: null });
  });

  it("is missing when D1 does not take it, and the answer stands", async () => {
    const customer = await newCustomer();
    const warned = vi.spyOn(console, "warn").mockImplementation(() => {});
    setSaboteur((crossing, call) =>
      crossing.name === "write_request_log" ? Promise.reject(new Error("no")) : call(),
    );
    const answer = await send(customer, [{ number: NUMBER, message: freshText() }]);
    expect(answer.globalstatus).toBe(10);
    await vi.waitFor(() => expect(warned).toHaveBeenCalled());
    setSaboteur(null);
    expect(String(warned.mock.calls[0]?.[0])).toContain("request log lines lost");
    expect(await logPage(customer.apiKey)).toMatchObject({ requests: [] });
  });
});

describe("filters", () => {
  it("find by code, key, address, time and refusals, a page at a time", async () => {
    const customer = await newCustomer();
    const other = await newKey(customer.accountId);
    await send(customer, [{ number: NUMBER, message: freshText() }]);
    await send(customer, [{ number: "12", message: freshText() }], { address: "2001:db8::9" });
    await send({ ...customer, apiKey: other }, [{ number: NUMBER, message: "pendek" }]);
    await oldLines(customer.apiKey, 3);
    const found = async (query: string) => {
      const { requests } = await logPage(customer.apiKey, query);
      return requests.filter(({ endpoint }) => endpoint.includes("/sms/")).length;
    };
    expect(await found("?code=60")).toBe(1);
    expect(await found("?code=text_invalid")).toBe(1);
    expect(await found("?code=55")).toBe(0);
    expect(await found(`?key=${other.slice(0, 6)}`)).toBe(1);
    expect(await found("?address=2001:db8::/32")).toBe(1);
    expect(await found(`?address=${CLIENT_ADDRESS}`)).toBe(2);
    expect(await found("?only=refusals")).toBe(2);
    const soon = encodeURIComponent(new Date(Date.now() + 60_000).toISOString());
    expect(await found(`?since=${soon}`)).toBe(0);
    expect(await found(`?until=${soon}`)).toBe(3);
    expect((await request("GET", "/v1/requests?address=x", { token: other })).status).toBe(422);
  });

  it("page through everything once", async () => {
    const customer = await newCustomer();
    for (let sent = 0; sent < 5; sent += 1) await send(customer, [{ number: "12" }]);
    await oldLines(customer.apiKey, 5);
    const seen: string[] = [];
    let query = "?code=60&limit=2";
    for (let page = 0; page < 3; page += 1) {
      const { requests, next_cursor: cursor } = await logPage(customer.apiKey, query);
      seen.push(...requests.map(({ id }) => id));
      if (cursor === null) break;
      query = `?code=60&limit=2&cursor=${cursor}`;
    }
    expect(seen).toHaveLength(5);
    expect(new Set(seen).size).toBe(5);
  });
});

describe("another account", () => {
  it("sees none of it and allows nothing by it", async () => {
    const [mine, theirs] = [await newCustomer(), await newCustomer()];
    const strict = await newKey(mine.accountId, { any_address: false });
    await sendRaw({ apiKey: strict, waid: mine.waid }, [{ number: NUMBER }]);
    const [line] = await oldLines(mine.apiKey, 1);
    expect((await logPage(theirs.apiKey)).requests).toEqual([]);
    const answer = await request("POST", `/v1/requests/${line?.id}/allow-address`, {
      token: theirs.apiKey,
      body: JSON.stringify({ prefix: "address" }),
    });
    expect(answer.status).toBe(404);
    expect(await answer.json()).toMatchObject({ code: "request_unknown" });
  });
});

describe("a refused address", () => {
  async function refusedLine(address: string) {
    const customer = await newCustomer();
    const apiKey = await newKey(customer.accountId, { any_address: false });
    const strict = { apiKey, waid: customer.waid };
    const packets = [{ number: NUMBER, message: freshText() }];
    expect((await send(strict, packets, { address })).globalstatus).toBe(40);
    const [line] = await oldLines(customer.apiKey, 1, "?code=40");
    const allow = (token: string, prefix: string) =>
      request("POST", `/v1/requests/${line?.id}/allow-address`, {
        token,
        body: JSON.stringify({ prefix }),
      });
    return { customer, strict, packets, allow };
  }

  it("is allowed by one call of a key that is allowed itself", async () => {
    const { customer, strict, packets, allow } = await refusedLine("198.51.100.77");
    expect((await allow(strict.apiKey, "address")).status).toBe(403);
    expect((await allow(customer.apiKey, "64")).status).toBe(422);
    const answer = await allow(customer.apiKey, "address");
    expect(await answer.json()).toMatchObject({ allowed: "198.51.100.77" });
    expect((await send(strict, packets, { address: "198.51.100.77" })).globalstatus).toBe(10);
    expect((await send(strict, packets, { address: "198.51.100.78" })).globalstatus).toBe(40);
    expect((await allow(customer.apiKey, "address")).status).toBe(200);
  });

  it("may be allowed with the /64 around it", async () => {
    const { customer, strict, packets, allow } = await refusedLine("2001:db8:7:9::1");
    const answer = await allow(customer.apiKey, "64");
    expect(await answer.json()).toMatchObject({ allowed: "2001:db8:7:9::/64" });
    expect((await send(strict, packets, { address: "2001:db8:7:9:ffff::2" })).globalstatus).toBe(
      10,
    );
    expect((await send(strict, packets, { address: "2001:db8:7:a::1" })).globalstatus).toBe(40);
  });

  it("is not to be had from a line that was not refused for it", async () => {
    const customer = await newCustomer();
    await send(customer, [{ number: "12" }]);
    const [line] = await oldLines(customer.apiKey, 1);
    const answer = await request("POST", `/v1/requests/${line?.id}/allow-address`, {
      token: customer.apiKey,
      body: JSON.stringify({ prefix: "address" }),
    });
    expect(answer.status).toBe(409);
  });
});

describe("keys that nobody has", () => {
  interface Unknown {
    address: string | null;
    count: number;
    key_prefix: string;
    endpoint: string;
  }
  const unknown = (query: string) =>
    operator<{ requests: Unknown[]; next_cursor: string | null }>("GET", `/requests${query}`);

  it("are counted for the operator by address, an IPv6 one by its /64", async () => {
    const nobody = { apiKey: "ab".repeat(16), waid: "QQQQQQ" };
    for (const address of ["2001:db8:5::1", "2001:db8:5::2"]) {
      await send(nobody, [{ number: NUMBER }], { address });
    }
    await request("GET", "/v1/devices", { token: "cd".repeat(16), address: "192.0.2.1" });
    await vi.waitFor(async () => {
      const { requests } = await unknown("");
      expect(requests).toContainEqual(
        expect.objectContaining({ address: "2001:db8:5::", count: 2, key_prefix: "ababab" }),
      );
      expect(requests).toContainEqual(
        expect.objectContaining({ address: "192.0.2.1", count: 1, endpoint: expect.any(String) }),
      );
    });
    const { requests } = await unknown("?address=192.0.2.0/24");
    expect(requests).toHaveLength(1);
    const first = await unknown("?limit=1");
    const second = await unknown(`?limit=1&cursor=${first.next_cursor}`);
    expect(second.requests[0]?.address).not.toBe(first.requests[0]?.address);
  });

  it("that somebody had leave one line a minute, and the account's other lines in peace", async () => {
    vi.useFakeTimers({ toFake: ["Date"], now: Date.now() });
    const customer = await newCustomer();
    const made = await request("POST", "/v1/keys", {
      token: customer.apiKey,
      body: JSON.stringify({ name: "Lama", any_address: true }),
    });
    const { id, api_key: apiKey } = await made.json<{ id: number; api_key: string }>();
    await request("DELETE", `/v1/keys/${id}`, { token: customer.apiKey });
    const flood = async () => {
      for (let n = 0; n < 15; n += 1) await send({ ...customer, apiKey }, [{ number: NUMBER }]);
      for (let n = 0; n < 15; n += 1) await request("GET", "/v1/devices", { token: apiKey });
    };
    await flood();
    await send(customer, [{ number: NUMBER, message: freshText() }]);
    const ofKey = async () => {
      const { requests } = await logPage(customer.apiKey);
      expect(
        requests.filter((line) => line.endpoint.includes("/sms/") && line.code === "10"),
      ).toHaveLength(1);
      return requests
        .filter((line) => line.key.id === id)
        .map(({ refusals }) => refusals[0]?.reason);
    };
    await vi.waitFor(async () => expect(await ofKey()).toEqual(["key_revoked"]));
    vi.setSystemTime(Date.now() + 60_000);
    await flood();
    await vi.waitFor(async () => expect(await ofKey()).toEqual(["key_revoked", "key_revoked"]));
  });

  it("leave no line when no key is named", async () => {
    const before = await unknown("");
    await request("POST", SEND_PATH, { body: "halo" });
    await request("GET", "/v1/devices");
    await send({ apiKey: "ef".repeat(16), waid: "QQQQQQ" }, [{}], { address: "192.0.2.99" });
    await vi.waitFor(async () => {
      const { requests } = await unknown("");
      expect(requests).toHaveLength(before.requests.length + 1);
    });
  });

  it("fill an hour with a thousand addresses and no more", async () => {
    const hour = Math.floor(Date.now() / 3_600_000) * 3_600_000 - 3_600_000;
    await env.DB.prepare(
      `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1200)
       INSERT INTO unknown_key_requests SELECT ?1, printf('%032x', i), 1, ?1, '', '', '' FROM n`,
    )
      .bind(hour)
      .run();
    const row = await env.DB.prepare(
      "SELECT count(*) AS n FROM unknown_key_requests WHERE hour_ms = ?",
    )
      .bind(hour)
      .first();
    expect(row).toEqual({ n: 1000 });
  });
});
