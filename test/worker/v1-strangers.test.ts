/**
 * What strangers learn from /v1: nothing. Every route of the OpenAPI document is tried without a key, with keys
 * that are none, from an address that is not allowed, with somebody else's things, and with a malformed body.
 */
import { env } from "cloudflare:test";
import { beforeAll, describe, expect, it } from "vitest";
import { setSaboteur } from "../../src/domain/crossing.ts";
import { newCustomer, newKey } from "./support/harness.ts";
import { openApi, operationsOf, v1, type OpenApiDocument } from "./support/v1.ts";
import { CALLS, NAMES_NOTHING, newWorld, type World } from "./support/v1-world.ts";

let document: OpenApiDocument;
let mine: World;
let theirs: World;

beforeAll(async () => {
  document = await openApi();
  mine = await newWorld();
  theirs = await newWorld();
});

function routes() {
  return operationsOf(document).map(({ name, method, operation }) => {
    const call = CALLS[name];
    if (call === undefined) throw new Error(`${name} is not in the list of calls`);
    return { name, method, operation, call };
  });
}

function expectProblem(answer: Awaited<ReturnType<typeof v1>>, status: number, code: string) {
  expect(answer.status).toBe(status);
  expect(answer.headers.get("content-type")).toBe("application/problem+json");
  expect(answer.headers.get("cache-control")).toBe("no-store");
  expect(answer.body).toMatchObject({
    type: "about:blank",
    status,
    code,
    request_id: answer.headers.get("x-request-id"),
  });
  expect(Object.keys(answer.body)).toEqual([
    "type",
    "title",
    "status",
    "detail",
    "code",
    "request_id",
  ]);
}

describe("the list of calls", () => {
  it("has every route of the document and no other", () => {
    const named = operationsOf(document).map(({ name }) => name);
    expect(Object.keys(CALLS).toSorted()).toEqual(named.toSorted());
  });
});

describe("every route", () => {
  it("refuses who brings no key, and what can be no key, without asking D1", async () => {
    const crossings = new Set<string>();
    setSaboteur((crossing, call) => {
      crossings.add(crossing.name);
      return call();
    });
    for (const { method, call } of routes()) {
      const { path, body } = call(mine);
      for (const token of [undefined, "", "x", "A".repeat(32), `kbr_${"g".repeat(32)}`]) {
        const answer = await v1(method, path, token, body);
        expectProblem(answer, 401, "key_unknown");
        expect(answer.headers.get("www-authenticate")).toBe("Bearer");
      }
    }
    setSaboteur(null);
    expect([...crossings]).toEqual([]);
  });

  it("refuses unknown and revoked keys, keys past their end, and keys of closed accounts", async () => {
    const revoked = await newKey(mine.accountId);
    const ended = await newKey(mine.accountId);
    const closed = await newCustomer();
    await env.DB.batch([
      env.DB.prepare("UPDATE api_keys SET revoked = 1 WHERE prefix = ?").bind(revoked.slice(0, 6)),
      env.DB.prepare("UPDATE api_keys SET valid_until_ms = 1 WHERE prefix = ?").bind(
        ended.slice(0, 6),
      ),
      env.DB.prepare("UPDATE accounts SET status = 'closed' WHERE id = ?").bind(closed.accountId),
    ]);
    for (const { method, call } of routes()) {
      const { path, body } = call(mine);
      for (const token of ["0".repeat(32), revoked, ended, closed.apiKey]) {
        expectProblem(await v1(method, path, token, body), 401, "key_unknown");
      }
    }
  });

  it("refuses an address that the key does not allow, and one that nobody knows", async () => {
    const token = await newKey(mine.accountId, { any_address: false, addresses: ["192.0.2.10"] });
    for (const { name, method, call } of routes()) {
      const { path, body } = call(mine);
      const refused = await v1(method, path, token, body);
      expect(refused.status, `for ${name}`).toBe(403);
      expectProblem(refused, 403, "address_not_allowed");
      expect(refused.body["detail"]).toContain("203.0.113.7");
      expect((await v1(method, path, token, body, { address: null })).status, `for ${name}`).toBe(
        403,
      );
    }
    expect((await v1("GET", "/devices", token, undefined, { address: "192.0.2.10" })).status).toBe(
      200,
    );
  });

  it("knows nothing of another account's devices, messages, keys and requests", async () => {
    for (const { name, method, call } of routes()) {
      const { path, body } = call(theirs);
      const answer = await v1(method, path, mine.apiKey, body);
      if (NAMES_NOTHING.has(name)) expect(answer.status, `for ${name}`).toBeLessThan(300);
      else expect(answer.status, `for ${name}`).toBe(404);
      const told = JSON.stringify(answer.body);
      for (const secret of [theirs.waid, theirs.apiKey, String(theirs.messageId)]) {
        expect(told, `for ${name}`).not.toContain(secret);
      }
    }
    const device = await v1("GET", `/devices/${theirs.waid}`, theirs.apiKey);
    expect(device).toMatchObject({ status: 200, body: { name: "Loket" } });
    const message = await v1("GET", `/messages/${theirs.messageId}`, theirs.apiKey);
    expect(message.body).toMatchObject({ status: "pending" });
    const key = await v1("GET", `/keys/${theirs.keyId}`, theirs.apiKey);
    expect(key.body).toMatchObject({ revoked: false, addresses: ["192.0.2.10"], name: "Aplikasi" });
  });

  it("that takes a body refuses one that is malformed, too deep, too long, or not what it takes", async () => {
    for (const { name, method, operation, call } of routes()) {
      if (operation.requestBody === undefined) continue;
      const { path } = call(mine);
      const bad = async (body: string) => v1(method, path, mine.apiKey, body);
      expectProblem(await bad("{"), 400, "json_malformed");
      expectProblem(await bad("apikey=1&waid=2"), 400, "json_malformed");
      expectProblem(await bad("[".repeat(200) + "]".repeat(200)), 400, "json_malformed");
      expectProblem(await bad(JSON.stringify("x".repeat(70_000))), 413, "body_too_large");
      for (const body of ["null", "[]", "7", '"text"', '{"no_such_field":1}']) {
        expect((await bad(body)).status, `${name} ${body}`).toBe(422);
      }
    }
  });
});

describe("the document", () => {
  it("is open to everybody and says where it is served", async () => {
    const { status, body, headers } = await v1("GET", "/openapi.json", undefined);
    expect(status).toBe(200);
    expect(headers.get("content-type")).toContain("application/json");
    expect(body).toMatchObject({ openapi: "3.1.0", servers: [{ url: "https://kabar.test/v1" }] });
  });
});
