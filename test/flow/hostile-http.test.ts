/**
 * Requests whose length can be read in two ways, over a raw socket: whatever is hidden in the body of the first is never
 * answered, nor acted upon, and no caller claims another address.
 */
import { connect } from "node:net";
import { beforeAll, expect, test } from "vitest";
import { z } from "zod";
import { useFlow } from "./support/flow.ts";
import type { Customer } from "./support/stack.ts";

const PATH = "/sms/api_whatsapp_send_json.php";
const QUIET_MS = 500;

const flow = useFlow({ hosts: 0 });
let customer: Customer;
let hidden = "";

beforeAll(async () => {
  customer = await flow.customer(null);
  hidden = balanceRequest("Host: b");
});

/** A good request; it succeeds once in a quarter of an hour, so that a second reading of it shows. */
function balanceRequest(...headers: string[]): string {
  const body = JSON.stringify({ apikey: customer.apiKey, waid: customer.waid });
  return [
    "POST /sms/api_whatsapp_balance_json.php HTTP/1.1",
    ...headers,
    `Content-Length: ${body.length}`,
    "",
    body,
  ].join("\r\n");
}

/** Everything that comes back until the server closes or falls silent. */
function exchange(bytes: string, quietMs = QUIET_MS): Promise<string> {
  const { hostname, port } = new URL(flow.stack.url);
  const socket = connect(Number(port), hostname);
  let received = "";
  return new Promise((resolve) => {
    socket.setTimeout(quietMs, () => socket.destroy());
    socket.on("data", (chunk: Buffer) => {
      received += chunk.toString("latin1");
    });
    // A reset after an answer takes nothing back.
    socket.on("error", () => socket.destroy());
    socket.on("close", () => resolve(received));
    socket.write(bytes);
  });
}

const head = `POST ${PATH} HTTP/1.1\r\nHost: a\r\n`;

test.each<[string, (inside: string) => string]>([
  [
    "a length beside pieces",
    (inside) => `${head}Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${inside}`,
  ],
  [
    "pieces beside a length that reaches over them",
    (inside) =>
      `${head}Transfer-Encoding: chunked\r\nContent-Length: ${inside.length + 5}\r\n\r\n0\r\n\r\n${inside}`,
  ],
  [
    "two lengths",
    (inside) =>
      `${head}Content-Length: 2\r\nContent-Length: ${inside.length + 2}\r\n\r\n{}${inside}`,
  ],
  ["a list of lengths", (inside) => `${head}Content-Length: 2, 2\r\n\r\n{}${inside}`],
  ["a signed length", (inside) => `${head}Content-Length: +2\r\n\r\n{}${inside}`],
  [
    "a space before the colon",
    (inside) => `${head}Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n${inside}`,
  ],
  [
    "an encoding nobody knows",
    (inside) => `${head}Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n${inside}`,
  ],
  [
    "two encodings",
    (inside) => `${head}Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n${inside}`,
  ],
  [
    "a header folded over two lines",
    (inside) =>
      `${head}X-A: b\r\n Content-Length: 0\r\nContent-Length: ${inside.length}\r\n\r\n${inside}`,
  ],
  [
    "a bare return in a header",
    (inside) =>
      `${head}X-A: b\rContent-Length: 0\r\nContent-Length: ${inside.length}\r\n\r\n${inside}`,
  ],
  [
    "a body of a GET",
    (inside) =>
      `GET ${PATH} HTTP/1.1\r\nHost: a\r\nContent-Length: ${inside.length}\r\n\r\n${inside}`,
  ],
])("%s hides no second request", async (_what, around) => {
  const answers = (await exchange(around(hidden))).split("HTTP/1.").slice(1);
  expect(answers.length).toBeLessThanOrEqual(1);
  expect(answers.join("")).not.toContain("balance_respon");
});

test("two whole requests on one connection are two, in their order, and nobody claims an address", async () => {
  const path = `/operator/accounts/${customer.accountId}/keys`;
  const body = { name: "Satu alamat", addresses: ["203.0.113.9"] };
  const made = await fetch(`${flow.stack.url}${path}`, {
    method: "POST",
    headers: { authorization: `Bearer ${flow.stack.operatorToken}` },
    body: JSON.stringify(body),
  });
  const { api_key: apiKey } = z.object({ api_key: z.string() }).parse(await made.json());
  flow.keepSecret(apiKey);
  const claim = ["CF-Connecting-IP", "X-Forwarded-For", "X-Real-IP", "True-Client-IP", "Forwarded"];
  const first = balanceRequest("Host: a");
  const second = balanceRequest("Host: a", ...claim.map((name) => `${name}: 203.0.113.9`)).replace(
    customer.apiKey,
    apiKey,
  );
  const codes = [...(await exchange(first + second, 4_000)).matchAll(/"globalstatus":(\d+)/g)];
  expect(codes.map(([, code]) => code)).toEqual(["10", "40"]);
});

test.each(["a b", 'x"}],"servers":[{"url":"evil'])(
  "the document is for everybody, also for who names the host %s",
  async (host) => {
    const asked = `GET /v1/openapi.json HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`;
    const answer = await exchange(asked, 2_000);
    expect(answer).toContain("HTTP/1.1 200");
    expect(answer).toContain('"servers":[{"url":"/v1"}]');
  },
);
