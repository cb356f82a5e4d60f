/**
 * Anything at all, posted to the old endpoints on real workerd with real D1 and objects: the answer is always one
 * that is documented, money and rows are those of the accepted packets and no others, and the work stays bounded.
 */
import fc from "fast-check";
import { afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import { z } from "zod";
import { setSaboteur } from "../../src/domain/crossing.ts";
import { allCounts } from "./support/all-counts.ts";
import { anyBytes, anyPacket, damaged, jsonText } from "./support/any-request.ts";
import {
  BALANCE_PATH,
  cachedBalances,
  foldOf,
  newCustomer,
  newKey,
  request,
  SEND_PATH,
  type Customer,
} from "./support/harness.ts";

/** Requests in flight together; each counts as one case. */
const TOGETHER = 20;
const STRANGER = "198.51.100.77";

const refusedGlobally = z.union([
  status(20, "Json Post Error"),
  status(30, "ApiKey not register"),
  status(40, "Ip address not register"),
  status(50, "Expired Balance"),
  status(55, "Maximum Data"),
]);
const sendAnswer = z.strictObject({
  sending_respon: z.tuple([
    z.union([
      refusedGlobally,
      z.strictObject({
        globalstatus: z.literal(10),
        globalstatustext: z.literal("Success"),
        datapacket: z
          .array(
            z.strictObject({
              packet: z.union([
                z.strictObject({
                  number: z.string().regex(/^[1-9]\d{6,14}$/),
                  sendingid: z.int().min(1).max(99_999_999_999_999),
                  sendingstatus: z.literal(10),
                  sendingstatustext: z.literal("success"),
                  price: z.literal(200),
                }),
                refusedPacket(60, "Invalid Number"),
                refusedPacket(70, "Invalid Message"),
                refusedPacket(80, "Minimum Balance"),
                refusedPacket(90, "System Error"),
              ]),
            }),
          )
          .min(1)
          .max(5),
      }),
    ]),
  ]),
});
const balanceAnswer = z.strictObject({
  balance_respon: z.tuple([
    z.union([
      refusedGlobally,
      status(35, "Check Balance Limit"),
      z.strictObject({
        globalstatus: z.literal(10),
        globalstatustext: z.literal("Success"),
        Balance: z.string().regex(/^\d+$/),
        Expired: z.iso.date(),
        "WhatsApp Id": z.string(),
        "WhatsApp Balance": z.string().regex(/^\d+$/),
        "WhatsApp Expired": z.iso.date(),
      }),
    ]),
  ]),
});

function status(code: number, text: string) {
  return z.strictObject({ globalstatus: z.literal(code), globalstatustext: z.literal(text) });
}

function refusedPacket(code: number, text: string) {
  return z.strictObject({
    number: z.string(),
    sendingid: z.literal(0),
    sendingstatus: z.literal(code),
    sendingstatustext: z.literal(text),
    price: z.literal(0),
  });
}

let customer: Customer;
let unlisted: string;
/** Calls to D1 and to objects, by name. */
let calls: string[] = [];

beforeAll(async () => {
  customer = await newCustomer({ balance: 50_000_000, plan: "C" });
  unlisted = await newKey(customer.accountId, { any_address: false });
  // Under such a flood the request log gives up lines, and says so.
  vi.spyOn(console, "warn").mockImplementation((line: string) => {
    if (!line.includes("request log lines lost")) throw new Error(line);
  });
  setSaboteur((crossing, call) => {
    calls.push(crossing.name);
    return call();
  });
});

afterEach(() => {
  calls = [];
});

async function post(
  path: string,
  body: Uint8Array<ArrayBuffer>,
  address?: string,
): Promise<string> {
  const response = await request("POST", path, {
    body,
    ...(address === undefined ? {} : { address }),
  });
  expect(response.status).toBe(200);
  expect(response.headers.get("content-type")).toBe("application/json");
  expect(response.headers.get("x-request-id")).toMatch(/^req_[0-9a-f]{24}$/);
  return response.text();
}

/** The accepted ids; throws for an answer that is not documented. */
function idsIn(raw: string): number[] {
  const [answer] = sendAnswer.parse(JSON.parse(raw)).sending_respon;
  if (!("datapacket" in answer)) return [];
  return answer.datapacket.flatMap(({ packet }) =>
    packet.sendingid === 0 ? [] : packet.sendingid,
  );
}

/** Rows, and money as the fold of transfers gives it. */
async function state() {
  const { messages = 0, transfers = 0, ...others } = await allCounts();
  const { available, held } = await foldOf(customer.accountId);
  return { messages, transfers, others, available, held };
}

/** Holds for every batch of requests: what was accepted is what was stored and held, and there is nothing else. */
async function booksAgree(before: Awaited<ReturnType<typeof state>>, ids: number[]): Promise<void> {
  const after = await state();
  const fresh = new Set(ids.filter((id) => !known.has(id)));
  for (const id of fresh) known.add(id);
  expect(after).toEqual({
    messages: before.messages + fresh.size,
    transfers: before.transfers + fresh.size,
    others: before.others,
    available: before.available - 200 * fresh.size,
    held: before.held + 200 * fresh.size,
  });
}
const known = new Set<number>();

const bodies = (one: fc.Arbitrary<Uint8Array<ArrayBuffer>>) =>
  fc.array(one, { minLength: TOGETHER, maxLength: TOGETHER });

function propertyOf(
  one: fc.Arbitrary<Uint8Array<ArrayBuffer>>,
  cases: number,
  check: (many: Uint8Array<ArrayBuffer>[]) => Promise<void>,
): Promise<void> {
  return fc.assert(fc.asyncProperty(bodies(one), check), {
    numRuns: cases / TOGETHER,
    // A batch shrinks badly; the one that failed names its seed.
    endOnFailure: true,
  });
}

const asBytes = (text: string) => Uint8Array.from(new TextEncoder().encode(text));
const packets = fc.array(anyPacket, { minLength: 1, maxLength: 7 });
const goodOf = (apikey: string, waid: string) =>
  packets.map((datapacket) => jsonText({ apikey, waid, datapacket }));

describe("whatever is posted", { timeout: 240_000 }, () => {
  it("by a stranger is refused as documented, without asking D1 or any device: 10,000 cases", async () => {
    const before = await state();
    await propertyOf(anyBytes, 10_000, async (many) => {
      calls = [];
      for (const path of [SEND_PATH, BALANCE_PATH]) {
        const half = many.filter((_, index) => (index % 2 === 0) === (path === SEND_PATH));
        const told = await Promise.all(half.map((body) => post(path, body, STRANGER)));
        for (const raw of told) expect(raw).toMatch(/"globalstatus":(20|30)/);
        for (const raw of told)
          (path === SEND_PATH ? sendAnswer : balanceAnswer).parse(JSON.parse(raw));
      }
      expect(calls.filter((name) => name === "accept" || name === "read_access")).toEqual([]);
      expect(calls.filter((name) => name.startsWith("device."))).toEqual([]);
    });
    expect(await state()).toEqual(before);
  });

  it("by a customer is answered packet by packet, and held for as answered: 1,400 cases", async () => {
    const one = goodOf(customer.apiKey, customer.waid).map(asBytes);
    let accepted = 0;
    await propertyOf(one, 1_400, async (many) => {
      const before = await state();
      calls = [];
      const told = await Promise.all(many.map((body) => post(SEND_PATH, body)));
      const ids = told.flatMap(idsIn);
      accepted += ids.length;
      await booksAgree(before, ids);
      expect(calls.filter((name) => name === "accept").length).toBeLessThanOrEqual(many.length * 2);
      expect(calls.filter((name) => name.startsWith("device.")).length).toBeLessThanOrEqual(
        many.length * 2,
      );
    });
    expect(accepted).toBeGreaterThan(700);
    const { available, held } = await cachedBalances(customer.accountId);
    expect({ available, held }).toEqual({ available: 50_000_000 - held, held: 200 * known.size });
  });

  it("by a customer and damaged on the way is refused or taken, never half: 1,400 cases", async () => {
    await propertyOf(damaged(goodOf(customer.apiKey, customer.waid)), 1_400, async (many) => {
      const before = await state();
      const told = await Promise.all(many.map((body) => post(SEND_PATH, body)));
      await booksAgree(before, told.flatMap(idsIn));
    });
    expect((await state()).messages).toBe(known.size);
  });

  it("from an address that is not allowed stores nothing: 600 cases", async () => {
    const before = await state();
    await propertyOf(goodOf(unlisted, customer.waid).map(asBytes), 600, async (many) => {
      for (const raw of await Promise.all(many.map((body) => post(SEND_PATH, body)))) {
        expect(raw).toContain('"globalstatus":40');
        sendAnswer.parse(JSON.parse(raw));
      }
    });
    expect(await state()).toEqual(before);
  });

  it("about the balance changes nothing: 600 cases", async () => {
    const caller = fc.record(
      {
        apikey: fc.oneof(fc.constant(customer.apiKey), fc.jsonValue({ maxDepth: 1 })),
        waid: fc.oneof(fc.constant(customer.waid), fc.jsonValue({ maxDepth: 1 })),
      },
      { requiredKeys: [] },
    );
    const before = await state();
    const one = caller.map((value) => asBytes(jsonText(value)));
    await propertyOf(one, 600, async (many) => {
      const told = await Promise.all(many.map((body) => post(BALANCE_PATH, body)));
      for (const raw of told) balanceAnswer.parse(JSON.parse(raw));
    });
    expect(await state()).toEqual(before);
  });
});
