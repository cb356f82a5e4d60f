/**
 * Anything at all, asked of every route that the OpenAPI document names, on real workerd with real D1 and objects:
 * the answer is one that the document lists, a refusal stores and costs nothing, and what was accepted is held for.
 */
import fc from "fast-check";
import { afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import { z } from "zod";
import { allCounts } from "./support/all-counts.ts";
import { anyBytes, anyNumber, anyText, anyTime, damaged, jsonText } from "./support/any-request.ts";
import {
  foldOf,
  freshText,
  newCustomer,
  newKey,
  request,
  type Customer,
} from "./support/harness.ts";

const TOGETHER = 20;
/** As many as the rate of a key lets through what is asked here. */
const KEYS = 16;
/** Refused before any route is known, hence listed by none that takes no body. */
const BEFORE_ROUTES = new Set(["json_malformed", "body_too_large"]);

const problem = z.strictObject({
  type: z.literal("about:blank"),
  title: z.string(),
  status: z.int(),
  detail: z.string(),
  code: z.string(),
  request_id: z.string().regex(/^req_[0-9a-f]{24}$/),
});

interface Listed {
  codes: string[];
  /** Of a success. */
  schema: z.ZodType | null;
}

interface Operation {
  method: string;
  path: string;
  /** By status. */
  responses: Map<string, Listed>;
  query: string[];
}

let customer: Customer;
let keys: string[];
let operations: Operation[];

beforeAll(async () => {
  customer = await newCustomer({ balance: 50_000_000, plan: "C" });
  keys = await Promise.all(Array.from({ length: KEYS }, () => newKey(customer.accountId)));
  operations = operationsOf(await (await request("GET", "/v1/openapi.json")).json());
});

afterEach(() => {
  vi.restoreAllMocks();
});

const document = z.object({
  paths: z.record(
    z.string(),
    z.record(
      z.string(),
      z.object({
        parameters: z.array(z.object({ name: z.string(), in: z.string() })).optional(),
        responses: z.record(
          z.string(),
          z.object({
            description: z.string(),
            content: z.record(z.string(), z.object({ schema: z.json() })).optional(),
          }),
        ),
      }),
    ),
  ),
  components: z.object({ schemas: z.record(z.string(), z.json()) }),
});

function operationsOf(json: unknown): Operation[] {
  const { paths, components } = document.parse(json);
  const local = (schema: unknown): string =>
    JSON.stringify(schema).replaceAll("#/components/schemas/", "#/$defs/");
  const $defs: unknown = JSON.parse(local(components.schemas));
  return Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, { parameters = [], responses }]) => ({
      method: method.toUpperCase(),
      path: `/v1${path}`,
      query: parameters.flatMap((one) => (one.in === "query" ? [one.name] : [])),
      responses: new Map(
        Object.entries(responses).map(([status, { description, content }]): [string, Listed] => {
          const schema = content?.["application/json"]?.schema;
          const codes = /^Refused: (.*)$/.exec(description)?.[1]?.split(", ") ?? [];
          if (schema === undefined) return [status, { codes, schema: null }];
          const own = JSON.parse(local(schema)) as object;
          const checked = z.fromJSONSchema({ ...own, $defs } as z.core.JSONSchema.JSONSchema);
          return [status, { codes, schema: checked }];
        }),
      ),
    })),
  );
}

/** Throws for an answer that the document does not list; tells whether it was a success. */
async function documented(operation: Operation, response: Response): Promise<boolean> {
  const status = String(response.status);
  expect(response.headers.get("x-request-id")).toMatch(/^req_[0-9a-f]{24}$/);
  const raw = await response.text();
  const place = `${operation.method} ${operation.path} ${status}`;
  const listed = operation.responses.get(status);
  if (response.ok) {
    expect(response.headers.get("cache-control")).toBe("no-store");
    const read = listed?.schema?.safeParse(JSON.parse(raw));
    expect({ place, success: read?.success }).toEqual({ place, success: true });
    return true;
  }
  expect(response.headers.get("content-type")).toBe("application/problem+json");
  const told = problem.parse(JSON.parse(raw));
  expect(told.status).toBe(response.status);
  expect(told.code).not.toBe("system_error");
  expect(told.detail).not.toMatch(/\n|\.ts\b|\bat .*:\d+|SQLITE|D1_/);
  if (told.code === "route_unknown" || BEFORE_ROUTES.has(told.code)) return false;
  expect({ place, codes: listed?.codes ?? [] }).toEqual({
    place,
    codes: expect.arrayContaining([told.code]) as string[],
  });
  return false;
}

/** A batch shrinks badly; the one that failed names its seed. */
function runs(cases: number) {
  return { numRuns: cases / TOGETHER, endOnFailure: true };
}

let turn = 0;

/** A live key, each in its turn. */
function nextKey(): string {
  turn += 1;
  return keys[turn % KEYS] ?? customer.apiKey;
}

interface Ask {
  /** Of the operation in the list: a report of what failed would not end otherwise. */
  place: number;
  path: string;
  body: Uint8Array<ArrayBuffer>;
  header: string;
}

function operationAt(place: number): Operation {
  const operation = operations[place];
  if (operation === undefined) throw new Error("no such operation");
  return operation;
}

const anyPlace = () => fc.integer({ min: 0, max: operations.length - 1 });

async function ask({ place, path, body, header }: Ask): Promise<boolean> {
  const operation = operationAt(place);
  const takesBody = operation.method !== "GET" && operation.method !== "HEAD";
  const response = await request(operation.method, path, {
    token: nextKey(),
    headers: { "idempotency-key": header, "content-type": "application/json" },
    ...(takesBody ? { body } : {}),
  });
  return documented(operation, response);
}

const headerText = fc
  .string({ minLength: 1, maxLength: 40 })
  .map((text) => encodeURIComponent(text.toWellFormed()));
const segment = fc.oneof(
  fc
    .string({ unit: "binary", minLength: 1, maxLength: 12 })
    .map((text) => encodeURIComponent(text.toWellFormed())),
  fc.constantFrom("0", "-1", "1e5", "99999999999999999999", "%00", "..%2f..", "ABC234", "%F0%28"),
  fc.nat().map(String),
);

function anyAsk(): fc.Arbitrary<Ask> {
  return anyPlace().chain((place) => {
    const operation = operationAt(place);
    return fc.record({
      place: fc.constant(place),
      path: fc
        .tuple(fc.array(segment, { minLength: 3, maxLength: 3 }), anyQuery(operation.query))
        .map(([segments, query]) => {
          let at = 0;
          const path = operation.path.replace(/\{\w+\}/g, () => segments[at++] ?? "x");
          return path + query;
        }),
      body: anyBytes,
      header: headerText,
    });
  });
}

function anyQuery(names: string[]): fc.Arbitrary<string> {
  if (names.length === 0) return fc.constantFrom("", "?x=1");
  const value = fc.oneof(
    segment,
    headerText,
    fc.constantFrom("", "pending", "2026-01-01T00:00:00Z", "10"),
  );
  return fc
    .array(fc.tuple(fc.constantFrom(...names), value), { maxLength: 4 })
    .map((pairs) => `?${pairs.map((pair) => pair.join("=")).join("&")}`);
}

describe("whatever is asked of /v1", { timeout: 240_000 }, () => {
  it("is answered as documented, and refusals store nothing: 3,200 cases", async () => {
    let refusedBatches = 0;
    const many = fc.array(anyAsk(), { minLength: TOGETHER, maxLength: TOGETHER });
    await fc.assert(
      fc.asyncProperty(many, async (asks) => {
        const before = await allCounts();
        const fold = await foldOf(customer.accountId);
        const went = await Promise.all(asks.map(ask));
        expect(await foldOf(customer.accountId)).toEqual(fold);
        const changed = asks.some(
          ({ place }, at) => went[at] === true && operationAt(place).method !== "GET",
        );
        if (changed) return;
        refusedBatches += 1;
        expect(await allCounts()).toEqual(before);
      }),
      runs(3_200),
    );
    expect(refusedBatches).toBeGreaterThan(20);
  });

  it("without a key that is known is refused and stores nothing: 1,600 cases", async () => {
    const before = await allCounts();
    const token = fc.oneof(fc.stringMatching(/^[0-9a-f]{32}$/), fc.stringMatching(/^[!-~]{1,60}$/));
    const one = fc.tuple(anyPlace(), token, anyBytes);
    await fc.assert(
      fc.asyncProperty(
        fc.array(one, { minLength: TOGETHER, maxLength: TOGETHER }),
        async (asks) => {
          const told = await Promise.all(
            asks.map(async ([place, bearer, body]) => {
              const operation = operationAt(place);
              const path = operation.path.replace(/\{\w+\}/g, "1");
              const response = await request(operation.method, path, {
                token: bearer,
                address: "198.51.100.78",
                ...(operation.method === "GET" ? {} : { body }),
              });
              await documented(operation, response);
              return response.status;
            }),
          );
          expect(told.filter((status) => ![400, 401, 404, 413, 422, 429].includes(status))).toEqual(
            [],
          );
        },
      ),
      runs(1_600),
    );
    expect(await allCounts()).toEqual(before);
  });
});

describe("whatever is sent by POST /v1/messages", { timeout: 240_000 }, () => {
  const sending = () => {
    const found = operations.find(
      ({ method, path }) => method === "POST" && path === "/v1/messages",
    );
    if (found === undefined) throw new Error("no such route");
    return found;
  };

  it("is held for exactly when it is accepted: 1,200 cases", async () => {
    const good = fc.record(
      {
        device: fc.constant(customer.waid),
        to: fc
          .integer({ min: 81_200_000_000, max: 81_299_999_999 })
          .map((number) => `+62 ${number}`),
        text: fc.constant(null).map(() => freshText()),
        category: fc.constantFrom("otp", "notification", "reminder"),
        expires_in: fc.integer({ min: 0, max: 90_000 }),
      },
      { requiredKeys: ["device", "to", "text"] },
    );
    const change = fc.oneof(
      fc.record({ to: anyNumber }),
      fc.record({ text: anyText }),
      fc.record({ send_at: anyTime }),
      fc.record({ send_at: fc.date({ noInvalidDate: true }).map((date) => date.toISOString()) }),
      fc.record({ expires_in: fc.double() }),
      fc.record({ device: fc.jsonValue({ maxDepth: 1 }) }),
      fc.record({ extra: fc.jsonValue({ maxDepth: 2 }) }),
      { weight: 6, arbitrary: fc.constant({}) },
    );
    const text = fc.tuple(good, change).map(([one, other]) => jsonText({ ...one, ...other }));
    const body = fc.oneof(
      { weight: 5, arbitrary: text.map((one) => Uint8Array.from(new TextEncoder().encode(one))) },
      damaged(text),
    );
    let accepted = 0;
    await fc.assert(
      fc.asyncProperty(
        fc.array(body, { minLength: TOGETHER, maxLength: TOGETHER }),
        async (many) => {
          const before = await allCounts();
          const fold = await foldOf(customer.accountId);
          const went = await Promise.all(
            many.map(async (one) => {
              const response = await request("POST", "/v1/messages", {
                token: nextKey(),
                body: one,
              });
              const raw = response.clone().text();
              return (await documented(sending(), response))
                ? z.object({ id: z.union([z.int(), z.string()]) }).parse(JSON.parse(await raw)).id
                : null;
            }),
          );
          const fresh = new Set(went.filter((id) => id !== null)).size;
          accepted += fresh;
          const after = await allCounts();
          expect(after).toEqual({
            ...before,
            messages: (before["messages"] ?? 0) + fresh,
            transfers: (before["transfers"] ?? 0) + fresh,
          });
          expect(await foldOf(customer.accountId)).toEqual({
            ...fold,
            available: fold.available - 200 * fresh,
            held: fold.held + 200 * fresh,
          });
        },
      ),
      runs(1_200),
    );
    expect(accepted).toBeGreaterThan(240);
  });
});
