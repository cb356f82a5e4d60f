/**
 * Old clients over a real socket: the recorded bytes go out as they are, the bytes that come back are read as each
 * kind of client reads them, and what was sent is looked up on the recipient's phone. Nothing here knows the Worker.
 */
import { readdirSync, readFileSync } from "node:fs";
import { connect } from "node:net";
import { beforeAll, describe, expect, test } from "vitest";
import { z } from "zod";
import {
  blankOut,
  fillIn,
  type HttpMessage,
  readHttpMessage,
  textOf,
} from "../support/http-message.ts";
import { useFlow } from "./support/flow.ts";
import type { Customer } from "./support/stack.ts";

const PHONE = "6281234520001";
const FOLDER = "test/golden/requests";
/** What the vendor's sample waits. */
const ANSWER_TIMEOUT_MS = 30_000;
const names = readdirSync(FOLDER).flatMap((file) => /^(.*)\.http$/.exec(file)?.[1] ?? []);

const flow = useFlow();
let customer: Customer;

beforeAll(async () => {
  customer = await flow.customer(PHONE);
});

function recorded(name: string, caller: Customer): Uint8Array {
  return fillIn(readFileSync(`${FOLDER}/${name}.http`, "utf8"), caller);
}

/** Writes the bytes to a fresh connection and reads one answer. */
async function exchange(...pieces: Uint8Array[]): Promise<HttpMessage> {
  const { hostname, port } = new URL(flow.stack.url);
  const socket = connect(Number(port), hostname);
  const { promise, resolve, reject } = Promise.withResolvers<HttpMessage>();
  let received = new Uint8Array();
  const look = (ended: boolean): void => {
    const message = readHttpMessage(received, ended);
    if (message !== null) resolve(message);
    else if (ended) reject(new Error(`cut short: ${textOf(received)}`));
  };
  socket.setTimeout(ANSWER_TIMEOUT_MS, () => reject(new Error("no answer in time")));
  // What was refused unread may be reset after its answer.
  socket.on("error", reject);
  socket.on("data", (bytes) => {
    received = Uint8Array.from([...received, ...bytes]);
    look(false);
  });
  socket.on("end", () => look(true));
  try {
    for (const piece of pieces) socket.write(piece);
    return await promise;
  } finally {
    socket.destroy();
  }
}

/** The raw text of the answer to a recorded request. */
async function answerTo(name: string, caller: Customer): Promise<string> {
  return textOf(answered(await exchange(recorded(name, caller))).body);
}

function answered(message: HttpMessage): HttpMessage {
  expect(message.firstLine).toMatch(/^HTTP\/1\.[01] 200 /);
  expect(message.headers.get("content-type")).toBe("application/json");
  expect(message.headers.get("x-request-id")).toMatch(/^req_[0-9a-f]{24}$/);
  return message;
}

/** What a strict Go client takes: whole numbers, exactly one element, dates that parse, no key it does not know. */
const day = z.iso.date();
const goSend = z.strictObject({
  sending_respon: z.tuple([
    z.strictObject({
      globalstatus: z.int(),
      globalstatustext: z.string(),
      datapacket: z
        .array(
          z.strictObject({
            packet: z.strictObject({
              number: z.string(),
              sendingid: z.int().max(99_999_999_999_999),
              sendingstatus: z.int(),
              sendingstatustext: z.string(),
              price: z.int(),
            }),
          }),
        )
        .optional(),
    }),
  ]),
});
const goBalance = z.strictObject({
  balance_respon: z.tuple([
    z.strictObject({
      globalstatus: z.int(),
      globalstatustext: z.string(),
      Balance: z.string().regex(/^\d+$/),
      Expired: day,
      "WhatsApp Id": z.string(),
      "WhatsApp Balance": z.string().regex(/^\d+$/),
      "WhatsApp Expired": day,
    }),
  ]),
});

const strict: Record<string, z.ZodType> = { sending: goSend, balance: goBalance };

describe("a recorded request", () => {
  test.each(names)("%s hears over a socket what it always heard", async (name) => {
    const caller = name.includes("balance") ? await flow.customer(null) : customer;
    const raw = await answerTo(name, caller);
    const wanted = readFileSync(`${FOLDER}/${name}.json`, "utf8").trimEnd();
    expect(blankOut(raw, caller)).toBe(wanted);
    const kind = wanted.includes("balance_respon") ? "balance" : "sending";
    expect(strict[kind]?.safeParse(JSON.parse(raw))).toMatchObject({ success: true });
  });
});

describe("a client that", () => {
  test("takes only keys of 32 lower-case hex digits has one", () => {
    expect(customer.apiKey).toMatch(/^[a-f0-9]{32}$/);
    expect(customer.waid).toMatch(/^[A-HJKMNP-Z2-9]{6}$/);
  });

  test("sends only while the balance is above 500 and not expired goes on sending", async () => {
    const [told] = goBalance.parse(
      JSON.parse(await answerTo("php-curl-balance", customer)),
    ).balance_respon;
    expect(Number(told.Balance)).toBeGreaterThan(500);
    expect(Date.parse(told.Expired)).toBeGreaterThan(Date.now());
    expect(Date.parse(told["WhatsApp Expired"])).toBeGreaterThan(Date.now());
  });

  test("waits before it writes the body, and writes it byte by byte, is heard", async () => {
    const caller = await flow.customer(null);
    const request = recorded("php-curl-balance", caller);
    const { body } = answered(
      await exchange(...Array.from(request, (byte) => Uint8Array.of(byte))),
    );
    expect(textOf(body)).toContain('"globalstatus":10');
  });

  test("posts far more than 64 KB hears 20, with a length and without one", async () => {
    const head = "POST /sms/api_whatsapp_send_json.php HTTP/1.1\r\nHost: wa.klinik.example\r\n";
    const megabyte = "x".repeat(1_048_576);
    const refused = '{"sending_respon":[{"globalstatus":20,"globalstatustext":"Json Post Error"}]}';
    for (const request of [
      `${head}Content-Length: 1048576\r\n\r\n${megabyte}`,
      `${head}Transfer-Encoding: chunked\r\n\r\n100000\r\n${megabyte}\r\n0\r\n\r\n`,
    ]) {
      expect(textOf(answered(await exchange(new TextEncoder().encode(request))).body)).toBe(
        refused,
      );
    }
  });
});

describe("the phone of the recipient", () => {
  test.each([
    [
      "6281234567890",
      "Yth. Ibu Renée, kontrol besok jam 09.00. Mohon bawa kartu & hasil lab 100%.",
    ],
    [
      "6281234567891",
      "Yth. Ibu Renée, kontrol besok jam 09.00. Mohon bawa kartu & hasil lab 100%.",
    ],
    ["6281234567890", "Kode antrean Anda é 12 😀 terima kasih"],
    ["6281234567890", "Pesan dalam potongan: é dan 😀"],
    ["6281234567890", "Reminder: invoice 2026/0117 & receipt ready"],
  ])("%s shows what was meant: %s", async (contact, text) => {
    const copies = await flow.until("the text on the screen", async () => {
      const shown = await flow.whatsapp.shown(contact, PHONE);
      return shown.find((one) => one.text === text)?.copies ?? null;
    });
    expect(copies).toBe(1);
  });
});
