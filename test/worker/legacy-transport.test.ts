/** What the old endpoints forgive about a request, and that they answer 200 with JSON and a request id to all of it. */
import { env, SELF } from "cloudflare:test";
import { describe, expect, it } from "vitest";
import { readConfig } from "../../src/config.ts";
import { expectGolden } from "./support/golden.ts";
import {
  BALANCE_PATH,
  CLIENT_ADDRESS,
  freshText,
  newCustomer,
  newKey,
  packetsOf,
  request,
  send,
  SEND_PATH,
  type Customer,
} from "./support/harness.ts";

const NUMBER = "6281234567890";
const BODY_BYTES_MAX = 65_536;

function sendBody({ apiKey, waid }: Customer, packet: object = {}): string {
  const datapacket = [{ number: NUMBER, message: freshText(), ...packet }];
  return JSON.stringify({ apikey: apiKey, waid, datapacket });
}

async function statusOf(response: Response): Promise<number> {
  expect(response.status).toBe(200);
  expect(response.headers.get("content-type")).toBe("application/json");
  expect(response.headers.get("x-request-id")).toMatch(/^req_[0-9a-f]{24}$/);
  expect(response.headers.get("location")).toBeNull();
  const answer: Record<string, [{ globalstatus: number }]> = await response.json();
  return Object.values(answer)[0]?.[0].globalstatus ?? 0;
}

async function post(body: BodyInit, path = SEND_PATH, headers = {}): Promise<number> {
  return statusOf(await request("POST", path, { body, headers }));
}

describe("the path", () => {
  it.each([
    ["/sms/api_whatsapp_send_json.php"],
    ["//sms/api_whatsapp_send_json.php"],
    ["/sms//api_whatsapp_send_json.php/"],
    ["///sms///api_whatsapp_send_json.php///"],
    ["/sms/api_whatsapp_send_json.php?from=cron"],
    ["//sms/api_whatsapp_send_json.php/?"],
  ])("%s is the sending one", async (path) => {
    expect(await post(sendBody(await newCustomer()), path)).toBe(10);
  });

  it.each([["//sms/api_whatsapp_balance_json.php"], ["/sms/api_whatsapp_balance_json.php//"]])(
    "%s is the one for the balance",
    async (path) => {
      const { apiKey: apikey, waid } = await newCustomer();
      expect(await post(JSON.stringify({ apikey, waid }), path)).toBe(10);
    },
  );

  it("is forgiven nothing else", async () => {
    for (const path of [
      "/sms/api_whatsapp_send_json.php.bak",
      "/sms",
      "/SMS/x.php",
      "//v1/devices",
    ]) {
      expect((await request("POST", path, { body: "{}" })).status).toBe(404);
    }
  });
});

describe("the content type", () => {
  it.each([
    ["application/json"],
    ["application/x-www-form-urlencoded"],
    ["text/plain;charset=UTF-8"],
    ["multipart/form-data; boundary=x"],
    ["application/xml; charset=iso-8859-1"],
    ["nonsense"],
  ])("%s does not matter", async (type) => {
    const customer = await newCustomer();
    expect(await post(sendBody(customer), SEND_PATH, { "content-type": type })).toBe(10);
  });
});

describe("a body", () => {
  it("may begin with a byte order mark, and may come in pieces of unknown length", async () => {
    const customer = await newCustomer();
    expect(await post(`\uFEFF${sendBody(customer)}`)).toBe(10);
    const bytes = new TextEncoder().encode(
      sendBody(customer, { message: "Kue lapis é dan 😀 ya" }),
    );
    const pieces = new ReadableStream<Uint8Array>({
      start(controller) {
        for (const byte of bytes) controller.enqueue(Uint8Array.of(byte));
        controller.close();
      },
    });
    expect(await post(pieces)).toBe(10);
  });

  it("of exactly 64 KB is read, and one byte more is 20", async () => {
    const body = sendBody(await newCustomer());
    expect(await post(body.padEnd(BODY_BYTES_MAX, " "))).toBe(10);
    expect(await post(body.padEnd(BODY_BYTES_MAX + 1, " "))).toBe(20);
  });

  it("without a length is given up at 64 KB however much would follow", async () => {
    let pulled = 0;
    const endless = new ReadableStream<Uint8Array>({
      pull(controller) {
        pulled += 1;
        if (pulled > 2_000) controller.close();
        else controller.enqueue(new Uint8Array(4_096).fill(32));
      },
    });
    expect(await post(endless)).toBe(20);
    expect(pulled).toBeLessThan(200);
  });

  it.each([
    ["empty", ""],
    ["white space", " \n"],
    ["a form", "apikey=x&waid=y"],
    ["an array", "[]"],
    ["null", "null"],
    ["a string", '"halo"'],
    ["a number", "12"],
    ["half", '{"apikey":"x","waid":'],
    ["two", "{}{}"],
    ["without packets", '{"apikey":"x","waid":"y"}'],
    ["with packets that are no list", '{"datapacket":{"0":{}}}'],
    ["with no packets", '{"datapacket":[]}'],
    ["with PHP's own way of writing", 'a:1:{s:6:"apikey";s:1:"x";}'],
    [
      "with hundreds of fields",
      `{"datapacket":[{}],${Array.from({ length: 200 }, (_, n) => `"f${n}":1`).join()}}`,
    ],
    ["deep", `{"datapacket":${"[".repeat(30_000)}${"]".repeat(30_000)}}`],
    ["deep in objects", `{"datapacket":[{}],"x":${'{"a":'.repeat(10_000)}1${"}".repeat(10_000)}}`],
  ])("that is %s is 20", async (_what, body) => {
    const response = await request("POST", SEND_PATH, { body });
    expect(response.status).toBe(200);
    expectGolden("send-20", await response.text());
  });

  it("that is not UTF-8 is 20", async () => {
    const bytes = new TextEncoder().encode(
      sendBody(await newCustomer(), { message: "Cafe buka ya" }),
    );
    bytes[bytes.indexOf("f".charCodeAt(0), bytes.length - 30)] = 0xe9;
    expect(await post(bytes)).toBe(20);
    expect(
      await post(Uint8Array.of(0x1f, 0x8b, 8, 0), SEND_PATH, { "content-encoding": "gzip" }),
    ).toBe(20);
  });

  it("of a multipart form is 20", async () => {
    const { apiKey, waid } = await newCustomer();
    const form = new FormData();
    form.set("apikey", apiKey);
    form.set("waid", waid);
    expect(await post(form)).toBe(20);
    expect(await post(new URLSearchParams({ apikey: apiKey, waid }), BALANCE_PATH)).toBe(20);
  });
});

describe("a method", () => {
  it.each([["GET"], ["PUT"], ["DELETE"], ["PATCH"], ["OPTIONS"]])(
    "%s is 20, also with a good query",
    async (method) => {
      const { apiKey, waid } = await newCustomer();
      const path = `${SEND_PATH}?apikey=${apiKey}&waid=${waid}`;
      expect(await statusOf(await request(method, path))).toBe(20);
      expect(await statusOf(await request(method, BALANCE_PATH))).toBe(20);
    },
  );

  it("PUT with a good body is 20 all the same, and HEAD has no body", async () => {
    const body = sendBody(await newCustomer());
    expect(await statusOf(await request("PUT", SEND_PATH, { body }))).toBe(20);
    const head = await request("HEAD", SEND_PATH);
    expect(head.status).toBe(200);
    expect(head.headers.get("x-request-id")).not.toBeNull();
  });
});

describe("plain http", () => {
  const overHttp = (path: string, body: string) =>
    SELF.fetch(`http://kabar.test${path}`, {
      method: "POST",
      redirect: "manual",
      headers: { "cf-connecting-ip": CLIENT_ADDRESS },
      body,
    });

  it("is answered like https and never redirected", async () => {
    const customer = await newCustomer();
    expect(await statusOf(await overHttp(SEND_PATH, sendBody(customer)))).toBe(10);
  });

  it("is 20 where the operator forbids it, before any key is looked at", async () => {
    const customer = await newCustomer();
    const forbidding = { ...env, PLAIN_HTTP: "refused" };
    expect(readConfig(forbidding).PLAIN_HTTP).toBe("refused");
    const { app } = await import("../../src/app.ts");
    const ctx = { waitUntil: () => {}, passThroughOnException: () => {}, props: {} };
    const asked = async (origin: string) => {
      const sent = new Request(origin + SEND_PATH, {
        method: "POST",
        headers: { "cf-connecting-ip": CLIENT_ADDRESS },
        body: sendBody(customer),
      });
      return statusOf(await app.fetch(sent, forbidding, ctx));
    };
    expect(await asked("http://kabar.test")).toBe(20);
    expect(await asked("https://kabar.test")).toBe(10);
  });
});

describe("scalars", () => {
  it("may be numbers wherever strings are meant", async () => {
    const customer = await newCustomer();
    const told = packetsOf(
      await send(customer, [
        { number: 6281234567890, message: 12345678901 },
        { number: 81234567890, message: 123456789012345 },
        { number: 6281234567891, message: 12345678902, sendingdatetime: null },
      ]),
    );
    expect(told.map((packet) => [packet.sendingstatus, packet.number])).toEqual([
      [10, "6281234567890"],
      [10, "6281234567890"],
      [10, "6281234567891"],
    ]);
  });

  it("that are numbers of any notation keep what was written", async () => {
    const { apiKey, waid } = await newCustomer();
    const key = JSON.stringify(apiKey);
    const packets = `[{"number":6.281234567890E+12,"message":12345678901234567890},{"number":12.50}]`;
    const body = `{"apikey":${key},"waid":"${waid}","datapacket":${packets}}`;
    const answer = await (await request("POST", SEND_PATH, { body })).text();
    expect(answer).toContain('"number":"6281234567890","sendingid":');
    expect(answer).toContain('"number":"12.50","sendingid":0');
  });

  it("take the key with its prefix and with space around, and the waid with space around", async () => {
    const { apiKey, waid } = await newCustomer();
    const packet = { number: NUMBER, message: freshText() };
    expect(
      (await send({ apiKey: ` kbr_${apiKey}\n`, waid: ` ${waid} ` }, [packet])).globalstatus,
    ).toBe(10);
    expect((await send({ apiKey: apiKey.toUpperCase(), waid }, [packet])).globalstatus).toBe(30);
  });

  it("of an imported waid may be digits only", async () => {
    const { apiKey, deviceId } = await newCustomer();
    await env.DB.prepare("UPDATE devices SET waid = '20211' WHERE id = ?").bind(deviceId).run();
    const datapacket = [{ number: NUMBER, message: freshText() }];
    expect(await post(JSON.stringify({ apikey: apiKey, waid: 20211, datapacket }))).toBe(10);
  });

  it("that are missing, null or no scalars fail their own packet only", async () => {
    const good = { number: NUMBER, message: freshText() };
    const told = packetsOf(
      await send(await newCustomer(), [
        { ...good, number: null },
        { ...good, message: { text: "x" } },
        { ...good, message: true },
        { ...good, sendingdatetime: [] },
        good,
      ]),
    );
    expect(told.map((packet) => packet.sendingstatus)).toEqual([60, 70, 70, 70, 10]);
  });

  it("for key and waid that are none at all are 30, not 20", async () => {
    const datapacket = [{ number: NUMBER, message: freshText() }];
    for (const caller of [{}, { apikey: null, waid: [] }, { apikey: { a: 1 }, waid: true }]) {
      expect(await post(JSON.stringify({ ...caller, datapacket }))).toBe(30);
      expect(await post(JSON.stringify(caller), BALANCE_PATH)).toBe(30);
    }
  });
});

describe("a revoked key and a closed account", () => {
  it("are 30 on both paths", async () => {
    const customer = await newCustomer();
    const apiKey = await newKey(customer.accountId);
    const bodyOf = (key: string) => sendBody({ ...customer, apiKey: key });
    await env.DB.prepare("UPDATE api_keys SET revoked = 1 WHERE account_id = ? AND prefix = ?")
      .bind(customer.accountId, apiKey.slice(0, 6))
      .run();
    expect(await post(bodyOf(apiKey))).toBe(30);
    expect(await post(bodyOf(customer.apiKey))).toBe(10);
    await env.DB.prepare("UPDATE accounts SET status = 'closed' WHERE id = ?")
      .bind(customer.accountId)
      .run();
    const { apiKey: apikey, waid } = customer;
    expect(await post(bodyOf(customer.apiKey))).toBe(30);
    expect(await post(JSON.stringify({ apikey, waid }), BALANCE_PATH)).toBe(30);
  });
});
