/**
 * Old clients as they really write: each recorded request is replayed inside workerd and the raw text of its answer
 * compared with the file beside it. The same files cross a real socket in test/flow/old-clients.test.ts.
 */
import { SELF } from "cloudflare:test";
import { expect, it } from "vitest";
import { blankOut, fillIn, readHttpMessage } from "../support/http-message.ts";
import { CLIENT_ADDRESS, foldOf, newCustomer } from "./support/harness.ts";

const requests = import.meta.glob<string>("../golden/requests/*.http", {
  query: "?raw",
  import: "default",
  eager: true,
});
const answers = import.meta.glob<string>("../golden/requests/*.json", {
  query: "?raw",
  import: "default",
  eager: true,
});

/** The platform's business, not the Worker's. */
const HOP_HEADERS = new Set([
  "host",
  "connection",
  "content-length",
  "transfer-encoding",
  "expect",
]);

it.each(Object.keys(requests))("%s hears what it always heard", async (file) => {
  const customer = await newCustomer();
  const recorded = readHttpMessage(fillIn(requests[file] ?? "", customer), true);
  if (recorded === null) throw new Error("the recording is cut short");
  const [method = "", path = ""] = recorded.firstLine.split(" ");
  const host = recorded.headers.get("host") ?? "";
  const headers = [...recorded.headers].filter(([name]) => !HOP_HEADERS.has(name));
  const response = await SELF.fetch(`http://${host}${path}`, {
    method,
    redirect: "manual",
    headers: [...headers, ["cf-connecting-ip", CLIENT_ADDRESS]],
    body: recorded.body,
  });
  expect(response.status).toBe(200);
  const raw = await response.text();
  const wanted = answers[file.replace(/\.http$/, ".json")]?.trimEnd();
  expect(blankOut(raw, customer)).toBe(wanted);
  const accepted = raw.split('"sendingstatus":10').length - 1;
  expect(await foldOf(customer.accountId)).toMatchObject({ held: accepted * 200 });
});

it("there is a recording of every habit", () => {
  const names = Object.keys(requests).map((file) => file.replace(/^.*\/(.*)\.http$/, "$1"));
  expect(names.toSorted()).toEqual([
    "go-net-http",
    "node-axios-80-packets",
    "node-fetch-chunked",
    "php-curl-balance",
    "php-curl-form-fields",
    "php-curl-form-type",
    "php-curl-multipart",
    "php-curl-urlencoded",
    "php-stream-http10",
    "python-requests-numbers",
  ]);
});
