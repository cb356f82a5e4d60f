/**
 * Limits for callers: a rate per key with its headers, an end to trying keys, bounded bodies. D1 and the objects
 * are watched at the seam: what is refused early asks nothing of them.
 */
import { createExecutionContext, env, waitOnExecutionContext } from "cloudflare:test";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { app } from "../../src/app.ts";
import { composeServices } from "../../src/api/services.ts";
import { setSaboteur } from "../../src/domain/crossing.ts";
import {
  freshText,
  newCustomer,
  newKey,
  request,
  sendRaw,
  BALANCE_PATH,
} from "./support/harness.ts";
import { v1 } from "./support/v1.ts";

let crossings: string[] = [];
let ended: string[] = [];

beforeEach(() => {
  crossings = [];
  ended = [];
  setSaboteur(async (crossing, call) => {
    // The request log is written after the answers, many lines at a time.
    if (!crossing.name.includes("request_log")) crossings.push(crossing.name);
    const answer = await call();
    ended.push(crossing.name);
    return answer;
  });
});
afterEach(() => {
  setSaboteur(null);
  vi.useRealTimers();
});

function hex(n: number): string {
  return (0xabc0000000 + n).toString(16).padStart(32, "0");
}

/** Keys that nobody has, from one address. */
async function guess(from: number, to: number, address: string): Promise<void> {
  for (let n = from; n < to; n += 1) await v1("GET", "/devices", hex(n), undefined, { address });
}

/** The same Worker with a rate of its own. */
function limitedTo(perMinute: number) {
  const own = { ...env, KEY_REQUESTS_PER_MINUTE: String(perMinute) };
  return async (path: string, token: string, init: RequestInit = {}) => {
    const context = createExecutionContext();
    const headers = { authorization: `Bearer ${token}`, "cf-connecting-ip": "203.0.113.7" };
    const response = await app.fetch(
      new Request(`https://kabar.test${path}`, { headers, ...init }),
      own,
      context,
    );
    await waitOnExecutionContext(context);
    return response;
  };
}

describe("the rate of a key", () => {
  it("is told in headers, refuses without asking D1, and fills again", async () => {
    vi.useFakeTimers({ toFake: ["Date"], now: Date.now() });
    const customer = await newCustomer();
    const other = await newKey(customer.accountId);
    const ask = limitedTo(6);
    for (let n = 1; n <= 6; n += 1) {
      const response = await ask("/v1/balance", customer.apiKey);
      expect(response.status).toBe(200);
      expect(response.headers.get("ratelimit-limit")).toBe("6");
      expect(response.headers.get("ratelimit-remaining")).toBe(String(6 - n));
      expect(response.headers.get("ratelimit-reset")).toBe(String(n * 10));
    }
    crossings = [];
    const refused = await ask("/v1/balance", customer.apiKey);
    expect(refused.status).toBe(429);
    expect(refused.headers.get("retry-after")).toBe("10");
    expect(refused.headers.get("ratelimit-remaining")).toBe("0");
    expect(refused.headers.get("content-type")).toBe("application/problem+json");
    expect(await refused.json()).toMatchObject({ status: 429, code: "rate_limited" });
    expect(crossings).toEqual([]);
    expect((await ask("/v1/balance", other)).status).toBe(200);
    vi.setSystemTime(Date.now() + 10_000);
    expect((await ask("/v1/balance", customer.apiKey)).status).toBe(200);
    expect((await ask("/v1/balance", customer.apiKey)).status).toBe(429);
  });

  it("does not hold up the old API", async () => {
    const customer = await newCustomer();
    const ask = limitedTo(1);
    for (let n = 0; n < 5; n += 1) {
      const body = JSON.stringify({
        apikey: customer.apiKey,
        waid: customer.waid,
        datapacket: [{ number: "081310001001", message: freshText() }],
      });
      const response = await ask("/sms/api_whatsapp_send_json.php", "", { method: "POST", body });
      expect(await response.text()).toContain('"globalstatus":10');
      expect(response.headers.get("ratelimit-limit")).toBeNull();
    }
  });
});

describe("unknown keys", () => {
  it("of one address are looked up thirty times and once a second, then answered 429 without D1", async () => {
    vi.useFakeTimers({ toFake: ["Date"], now: Date.now() });
    const address = "198.51.100.1";
    for (let n = 0; n < 31; n += 1) {
      const answer = await v1("GET", "/devices", hex(n), undefined, { address });
      expect(answer.status, `for ${String(n)}`).toBe(401);
    }
    expect(crossings.filter((name) => name === "read_access")).toHaveLength(31);
    crossings = [];
    const held = await v1("GET", "/devices", hex(99), undefined, { address });
    expect([held.status, held.body["code"]]).toEqual([429, "too_many_unknown_keys"]);
    expect(Number(held.headers.get("retry-after"))).toBeGreaterThan(0);
    expect(crossings).toEqual([]);
    const elsewhere = await v1("GET", "/devices", hex(99), undefined, { address: "198.51.100.2" });
    expect(elsewhere.status).toBe(401);
  });

  it("get the old API's 30 when they were looked up, and nothing final when they were not", async () => {
    vi.useFakeTimers({ toFake: ["Date"], now: Date.now() });
    const address = "198.51.100.3";
    const packet = { number: "081310001001", message: freshText() };
    const ask = (n: number) => sendRaw({ apiKey: hex(n), waid: "ABCDEF" }, [packet], { address });
    const answers = new Set<string>();
    for (let n = 100; n < 131; n += 1) answers.add(await ask(n));
    expect([...answers]).toEqual([
      '{"sending_respon":[{"globalstatus":30,"globalstatustext":"ApiKey not register"}]}',
    ]);
    expect(crossings.filter((name) => name === "accept")).toHaveLength(31);
    crossings = [];
    expect(await ask(131)).toBe(
      '{"sending_respon":[{"globalstatus":10,"globalstatustext":"Success","datapacket":[{"packet":' +
        '{"number":"081310001001","sendingid":0,"sendingstatus":90,"sendingstatustext":"System Error","price":0}}]}]}',
    );
    const body = JSON.stringify({ apikey: hex(141), waid: "ABCDEF" });
    const balance = await request("POST", BALANCE_PATH, { body, address });
    expect(await balance.text()).toBe(
      '{"balance_respon":[{"globalstatus":25,"globalstatustext":"Error Check Balance"}]}',
    );
    expect(crossings).toEqual([]);
  });

  it("shut out no good key of their address, in either api, though this isolate never met it", async () => {
    vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + 300_000 });
    const address = "198.51.100.6";
    const [one, two] = [await newCustomer(), await newCustomer()];
    await guess(500, 532, address);
    await vi.waitFor(() => expect(ended).toContain("read_key_names"));
    const packet = { number: "081310001001", message: freshText() };
    expect((await v1("GET", "/devices", hex(540), undefined, { address })).status).toBe(429);
    expect((await v1("GET", "/devices", one.apiKey, undefined, { address })).status).toBe(200);
    expect(await sendRaw(two, [packet], { address })).toContain('"sendingstatus":10');
    // Known names are no permission: what is wrong with the key or the request is still found.
    expect(await sendRaw({ ...two, waid: one.waid }, [packet], { address })).toContain(
      '"globalstatus":30',
    );
  });

  it("hold up a key that was made just now for seconds only", async () => {
    vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + 600_000 });
    const address = "198.51.100.7";
    await guess(550, 582, address);
    await vi.waitFor(() => expect(ended).toContain("read_key_names"));
    const [one, two] = [await newCustomer(), await newCustomer()];
    const packet = { number: "081310001001", message: freshText() };
    expect((await v1("GET", "/devices", one.apiKey, undefined, { address })).status).toBe(429);
    expect(await sendRaw(two, [packet], { address })).toContain('"sendingstatus":90');
    vi.setSystemTime(Date.now() + 1_000);
    expect((await v1("GET", "/devices", one.apiKey, undefined, { address })).status).toBe(200);
    expect(await sendRaw(two, [packet], { address })).toContain('"sendingstatus":90');
    vi.setSystemTime(Date.now() + 1_000);
    expect(await sendRaw(two, [packet], { address })).toContain('"sendingstatus":10');
    const three = await newCustomer();
    vi.setSystemTime(Date.now() + 60_000);
    ended = [];
    await guess(590, 622, address);
    await vi.waitFor(() => expect(ended).toContain("read_key_names"));
    expect((await v1("GET", "/devices", three.apiKey, undefined, { address })).status).toBe(200);
  });

  it("have the names of keys read once a minute, however many they are", async () => {
    vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + 900_000 });
    for (let at = 1; at <= 4; at += 1)
      await guess(900 + at * 40, 939 + at * 40, `198.51.101.${at}`);
    expect(crossings.filter((name) => name === "read_key_names")).toHaveLength(1);
  });

  it("are not what a key is that D1 knew and refused for something else", async () => {
    vi.useFakeTimers({ toFake: ["Date"], now: Date.now() });
    const address = "198.51.100.8";
    const customer = await newCustomer();
    const poor = await newCustomer({ balance: 199 });
    const none = await v1("GET", "/devices/QQQQQQ", customer.apiKey, undefined, { address });
    expect(none.status).toBe(404);
    const message = { device: poor.waid, to: "081310001001", text: freshText() };
    const short = await v1("POST", "/messages", poor.apiKey, message, { address });
    expect(short.body["code"]).toBe("balance_short");
    for (let n = 600; n < 640; n += 1) {
      await v1("GET", "/devices", hex(n), undefined, { address });
    }
    for (const { apiKey } of [customer, poor]) {
      expect((await v1("GET", "/devices", apiKey, undefined, { address })).status).toBe(200);
    }
  });

  it("without an address make nobody wait", async () => {
    const address = null;
    const customer = await newCustomer();
    for (let n = 700; n < 740; n += 1) {
      expect((await v1("GET", "/devices", hex(n), undefined, { address })).status).toBe(401);
    }
    const packet = { number: "081310001001", message: freshText() };
    expect(await sendRaw(customer, [packet], { address })).toContain('"sendingstatus":10');
  });

  it("push no good key's rate out of memory", async () => {
    vi.useFakeTimers({ toFake: ["Date"], now: Date.now() });
    const { keyRates, newKeyRates } = composeServices(env, () => {});
    const taken = [vi.spyOn(keyRates, "take"), vi.spyOn(newKeyRates, "take")];
    const customer = await newCustomer();
    const address = "198.51.100.9";
    await v1("GET", "/devices", hex(800), undefined, { address });
    expect(taken.map((spy) => spy.mock.calls.length)).toEqual([0, 1]);
    const first = await v1("GET", "/devices", customer.apiKey, undefined, { address });
    expect(taken.map((spy) => spy.mock.calls.length)).toEqual([1, 2]);
    const second = await v1("GET", "/devices", customer.apiKey, undefined, { address });
    expect(taken.map((spy) => spy.mock.calls.length)).toEqual([2, 2]);
    const left = ({ headers }: typeof first) => Number(headers.get("ratelimit-remaining"));
    expect(left(first) - left(second)).toBe(1);
    for (const spy of taken) spy.mockRestore();
  });

  it("of one /64 count as one address", async () => {
    vi.useFakeTimers({ toFake: ["Date"], now: Date.now() });
    for (let n = 200; n < 231; n += 1) {
      await v1("GET", "/devices", hex(n), undefined, { address: `2001:db8:5::${n}` });
    }
    const held = await v1("GET", "/devices", hex(231), undefined, {
      address: "2001:db8:5::ffff:1",
    });
    expect(held.status).toBe(429);
    const next = await v1("GET", "/devices", hex(231), undefined, { address: "2001:db8:5:1::1" });
    expect(next.status).toBe(401);
  });

  it("tried again and again cost one look-up in ten seconds, and never make their address wait", async () => {
    vi.useFakeTimers({ toFake: ["Date"], now: Date.now() });
    const address = "198.51.100.4";
    for (let n = 0; n < 50; n += 1) {
      expect((await v1("GET", "/devices", hex(300), undefined, { address })).status).toBe(401);
    }
    expect(crossings.filter((name) => name === "read_access")).toHaveLength(1);
    vi.setSystemTime(Date.now() + 10_001);
    await v1("GET", "/devices", hex(300), undefined, { address });
    expect(crossings.filter((name) => name === "read_access")).toHaveLength(2);
    setSaboteur(null);
    const customer = await newCustomer();
    expect((await v1("GET", "/devices", customer.apiKey, undefined, { address })).status).toBe(200);
  });

  it("do not make a key wait that was found good before", async () => {
    const address = "198.51.100.5";
    const customer = await newCustomer();
    expect((await v1("GET", "/devices", customer.apiKey, undefined, { address })).status).toBe(200);
    for (let n = 400; n < 440; n += 1) {
      await v1("GET", "/devices", hex(n), undefined, { address });
    }
    expect((await v1("GET", "/devices", hex(441), undefined, { address })).status).toBe(429);
    expect((await v1("GET", "/devices", customer.apiKey, undefined, { address })).status).toBe(200);
  });

  it("are not a key that a documented number of a test refuses", async () => {
    const customer = await newCustomer();
    const made = await v1("POST", "/keys", customer.apiKey, {
      name: "Uji",
      mode: "test",
      any_address: true,
    });
    const test = String(made.body["api_key"]);
    const send = (to: string) =>
      v1("POST", "/messages", test, { device: customer.waid, to, text: freshText() });
    expect((await send("6281200000130")).status).toBe(401);
    expect((await send("6281310001001")).status).toBe(202);
  });
});

describe("a body", () => {
  const body = (customer: { waid: string }, text: string) =>
    JSON.stringify({ device: customer.waid, to: "081310001001", text });

  it("that comes in pieces is counted as it comes, and asks nothing of D1 when it is too long", async () => {
    const customer = await newCustomer();
    crossings = [];
    let pulled = 0;
    const endless = new ReadableStream<Uint8Array>({
      pull(controller) {
        pulled += 1;
        controller.enqueue(new Uint8Array(16_384).fill(32));
        if (pulled > 200) controller.close();
      },
    });
    const context = createExecutionContext();
    const response = await app.fetch(
      new Request("https://kabar.test/v1/messages", {
        method: "POST",
        headers: { authorization: `Bearer ${customer.apiKey}`, "cf-connecting-ip": "203.0.113.7" },
        body: endless,
      }),
      env,
      context,
    );
    expect(response.status).toBe(413);
    await waitOnExecutionContext(context);
    expect(pulled).toBeLessThan(20);
    expect(crossings).toEqual([]);
  });

  it("is JSON whatever it is called, and must be UTF-8", async () => {
    const customer = await newCustomer();
    const token = customer.apiKey;
    for (const type of ["text/plain", "application/x-www-form-urlencoded", "application/json"]) {
      const answer = await v1("POST", "/messages", token, body(customer, freshText()), {
        headers: { "content-type": type },
      });
      expect(answer.status, `for ${type}`).toBe(202);
    }
    const latin1 = Uint8Array.from(body(customer, "Sudah sampai di café"), (letter) =>
      letter.charCodeAt(0),
    );
    const refused = await request("POST", "/v1/messages", { token, body: latin1 });
    expect(refused.status).toBe(400);
  });

  it("that is empty is refused as one that lacks everything, whatever it is called", async () => {
    const customer = await newCustomer();
    for (const headers of [{}, { "content-type": "application/json" }]) {
      const answer = await v1("POST", "/messages", customer.apiKey, "", { headers });
      expect(answer.status).toBe(422);
      expect(answer.body["code"]).toBe("body_malformed");
    }
  });

  it("with a text that no key takes asks D1 once, about the rest", async () => {
    const customer = await newCustomer();
    const token = customer.apiKey;
    expect((await v1("POST", "/messages", token, body(customer, freshText()))).status).toBe(202);
    for (const text of ["x".repeat(50_000), "Pendek", `${freshText()} \ud800`]) {
      crossings = [];
      const answer = await v1("POST", "/messages", token, body(customer, text));
      expect(answer.status).toBe(422);
      expect(answer.body["code"]).toBe("text_invalid");
      expect(crossings).toEqual(["accept"]);
    }
  });

  it("with a hundred names that nobody knows is told the first one, shortened", async () => {
    const customer = await newCustomer();
    const names = Array.from({ length: 100 }, (_, at) => [`${"n".repeat(60)}${at}`, 1] as const);
    const sent = { device: customer.waid, to: "081310001001", text: freshText() };
    const answer = await v1("POST", "/messages", customer.apiKey, {
      ...Object.fromEntries(names),
      ...sent,
    });
    expect(answer.status).toBe(422);
    expect(answer.body["detail"]).toBe(
      `The body: Unrecognized key: "${"n".repeat(40)}..." and 99 more`,
    );
    const misspelt = await v1("POST", "/messages", customer.apiKey, { ...sent, sendat: "" });
    expect(misspelt.body["detail"]).toBe('The body: Unrecognized key: "sendat"');
  });
});
