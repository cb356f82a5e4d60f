/**
 * Bad input by kind, on both APIs: noise, damage, wrong types, too much of everything, keys that are none. Seeded, so
 * that two runs offer the same; made before anything is timed. Each kind knows which answers are documented for it.
 */
import fc from "fast-check";
import { OLD_SEND_PATH } from "../../session-host/local/product.ts";
import type { Customer } from "../flow/support/stack.ts";
import { anyBytes, anyNumber, damaged, jsonText } from "../worker/support/any-request.ts";
import { nextRecipient, nextText } from "./customers.ts";
import type { Shot } from "./open-loop.ts";

const SEED = 20_261_130;
const SAMPLES = 200;
/** Just below what is read, and above it. */
const LARGE_BYTES = 65_000;
const TOO_LARGE_BYTES = 70_000;
const DEPTH = 30_000;
const OLD_BALANCE_PATH = "/sms/api_whatsapp_balance_json.php";
const V1_SEND_PATH = "/v1/messages";

type Kind = () => Shot;
type Bytes = string | Uint8Array | Uint8Array[];

const json = { "content-type": "application/json" };

/** By name; each call answers the next request of that kind. */
export function badRequests(customer: Customer): ReadonlyMap<string, Kind> {
  const { apiKey, waid } = customer;
  return new Map<string, Kind>([
    ...oldKinds(customer),
    ...v1Kinds(customer),
    ["old: unknown keys", old(randomKeys(waid), [30, 90], "packets")],
    ["v1: unknown keys", unknownOnV1()],
    ["old: balance, noise", old(noise(), [20, 30], "request", OLD_BALANCE_PATH)],
    ["v1: queries of noise", queries(apiKey)],
  ]);
}

function oldKinds({ apiKey, waid }: Customer): [string, Kind][] {
  const packets = (datapacket: unknown[]) => jsonText({ apikey: apiKey, waid, datapacket });
  const good = { number: nextRecipient(), message: nextText(), sendingdatetime: "" };
  const stranger = fc.constant(
    jsonText({ apikey: "0".repeat(32), waid, datapacket: [good, good, good] }),
  );
  const foreign = { number: "+14155550100", message: "x" };
  const count = Math.floor(LARGE_BYTES / (jsonText(foreign).length + 1)) - 5;
  const inexact = { apikey: apiKey, waid, datapacket: [{ number: 0.5 }] };
  const floats = jsonText({ ...inexact, x: Array(LARGE_BYTES / 5).fill(0.1) });
  const wrong = fc
    .array(fc.tuple(anyNumber, fc.constantFrom("short", null, 7, [], {})), {
      minLength: 1,
      maxLength: 5,
    })
    .map((all) => packets(all.map(([number, message]) => ({ number, message }))));
  return [
    ["old: noise", old(noise(), [20, 30])],
    [
      "old: damaged requests",
      old(turns(sample(damaged(stranger))), [20, 30, 55, 60, 70, 80, 90], "packets"),
    ],
    ["old: wrong types and values", old(turns(sample(wrong)), [60, 70], "packets")],
    ["old: not UTF-8", old(turns([notUtf8(packets([good]))]), [20])],
    ["old: 30,000 deep", old(turns([`{"datapacket":${"[".repeat(DEPTH)}`]), [20])],
    [
      "old: 64 KB of packets",
      old(turns([packets(Array.from({ length: count }, () => foreign))]), [55]),
    ],
    ["old: 64 KB of numbers", old(turns([floats]), [60], "packets")],
    ["old: 64 KB of unknown fields", old(turns([jsonText({ ...inexact, ...fields() })]), [20])],
    ["old: a text of 64 KB", old(turns([packets([longText()])]), [70], "packets")],
    ["old: 70 KB", old(turns([" ".repeat(TOO_LARGE_BYTES)]), [20])],
    ["old: 70 KB in pieces", old(turns([pieces(TOO_LARGE_BYTES)]), [20])],
  ];
}

function v1Kinds({ apiKey, waid }: Customer): [string, Kind][] {
  const send = { device: waid, to: "0813-1000-1001", text: "Pesanan Anda sudah dikirim." };
  const wrong = fc
    .record({ to: fc.jsonValue(), text: fc.jsonValue(), send_at: fc.constantFrom("besok", 7, []) })
    .map((fieldsOfOne) => jsonText({ ...send, ...fieldsOfOne }));
  const kind = (body: () => Bytes, ...statuses: number[]) => v1(apiKey, body, statuses);
  return [
    ["v1: noise", kind(noise(), 400, 413, 422)],
    ["v1: wrong types", kind(turns(sample(wrong)), 422)],
    ["v1: not UTF-8", kind(turns([notUtf8(jsonText(send))]), 400)],
    ["v1: 30,000 deep", kind(turns([`{"to":${"[".repeat(DEPTH)}`]), 400)],
    ["v1: 64 KB of unknown fields", kind(turns([jsonText({ ...send, ...fields() })]), 400)],
    ["v1: a text of 64 KB", kind(turns([jsonText({ ...send, text: longText().message })]), 422)],
    ["v1: 70 KB", kind(turns([" ".repeat(TOO_LARGE_BYTES)]), 413)],
    ["v1: 70 KB in pieces", kind(turns([pieces(TOO_LARGE_BYTES)]), 413)],
  ];
}

/** `codes`: of the whole request, or of its packets when those are what is judged. */
function old(
  body: () => Bytes,
  codes: readonly number[],
  judged: "request" | "packets" = "request",
  path = OLD_SEND_PATH,
): Kind {
  const found =
    judged === "request" ? /"globalstatus":(\d+)/g : /"(?:global|sending)status":(\d+)/g;
  const allowed = new Set(judged === "request" ? codes : [10, ...codes]);
  return () => ({
    kind: "",
    method: "POST",
    path,
    headers: json,
    body: body(),
    isRight: (status, text) =>
      status === 200 &&
      [...text.matchAll(found)].every(([, code]) => allowed.has(Number(code))) &&
      !text.includes('"sendingstatus":10'),
  });
}

function v1(apiKey: string, body: () => Bytes, statuses: readonly number[]): Kind {
  return () => ({
    kind: "",
    method: "POST",
    path: V1_SEND_PATH,
    headers: { ...json, authorization: `Bearer ${apiKey}` },
    body: body(),
    isRight: (status, text) => statuses.includes(status) && text.includes('"code":'),
  });
}

/** Another key each time: some are looked up, the rest wait. */
function unknownOnV1(): Kind {
  const key = keys();
  return () => ({
    kind: "",
    method: "GET",
    path: "/v1/balance",
    headers: { authorization: `Bearer ${key()}` },
    body: null,
    isRight: (status) => status === 401 || status === 429,
  });
}

function queries(apiKey: string): Kind {
  const next = turns(sample(fc.webQueryParameters().map((query) => query.slice(0, 4_000))));
  return () => ({
    kind: "",
    method: "GET",
    path: `/v1/messages?limit=x&${next()}`,
    headers: { authorization: `Bearer ${apiKey}` },
    body: null,
    isRight: (status) => status === 422,
  });
}

function noise(): () => Bytes {
  return turns(sample(anyBytes));
}

function randomKeys(waid: string): () => string {
  const key = keys();
  const packet = { number: nextRecipient(), message: nextText() };
  return () => jsonText({ apikey: key(), waid, datapacket: [packet] });
}

/** Of a length that is looked up. */
function keys(): () => string {
  const bytes = fc.uint8Array({ minLength: 16, maxLength: 16 });
  return turns(sample(bytes, 5_000).map((key) => Buffer.from(key).toString("hex")));
}

function sample<T>(arbitrary: fc.Arbitrary<T>, count = SAMPLES): T[] {
  return fc.sample(arbitrary, { seed: SEED, numRuns: count });
}

function turns<T>(all: readonly T[]): () => T {
  let turn = -1;
  return () => {
    turn = (turn + 1) % all.length;
    const one = all[turn];
    if (one === undefined) throw new Error("a kind without requests");
    return one;
  };
}

/** As many different names as a body can hold. */
function fields(): Record<string, number> {
  const count = Math.floor(LARGE_BYTES / 14) - 20;
  return Object.fromEntries(Array.from({ length: count }, (_, at) => [`field${at}`, 1]));
}

function longText() {
  return { number: "6281310001001", message: "a+b%20c ".repeat(LARGE_BYTES / 8).trim() };
}

function notUtf8(body: string): Uint8Array {
  const bytes = Buffer.from(body);
  bytes[Math.floor(bytes.length / 2)] = 0xff;
  return bytes;
}

function pieces(length: number): Uint8Array[] {
  const piece = Buffer.alloc(5_000, " ");
  return Array.from({ length: length / piece.length }, () => piece);
}
