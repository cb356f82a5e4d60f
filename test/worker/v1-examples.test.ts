/**
 * Every example of the OpenAPI document, run against the Worker: each request must succeed, and each answer, real or
 * printed, must be valid by the document's own schema, judged by a validator that knows nothing of ours.
 */
import { Validator, type Schema } from "@cfworker/json-schema";
import { expect, it } from "vitest";
import { EXAMPLE_MESSAGE_ID, EXAMPLE_WAID } from "../../src/api/v1/wire.ts";
import { openApi, operationsOf, v1, type MediaType, type OpenApiDocument } from "./support/v1.ts";
import { pausePhone } from "./support/phone-of.ts";
import { newWorld, type World } from "./support/v1-world.ts";

const document = await openApi();
const operations = operationsOf(document);

/** What must have happened before an example can work. */
const BEFORE: Record<string, (world: World) => Promise<unknown>> = {
  resumeDevice: (world) => pausePhone(world),
  unpairDevice: (world) => v1("POST", `/devices/${world.waid}/pair`, world.apiKey, {}),
};

/** The example with the reader's own things in the place of the printed ones. */
function ownBody(example: object, world: World): string {
  const own = Object.fromEntries(
    Object.entries(example).map(([name, value]) => [name, name === "key" ? world.keyId : value]),
  );
  return JSON.stringify(own).replaceAll(EXAMPLE_WAID, world.waid);
}

type Operation = (typeof operations)[number];

function ownPath({ path, operation }: Operation, world: World): string {
  const ids: Record<string, string | number> = {
    waid: world.waid,
    id: path.startsWith("/messages")
      ? world.messageId
      : path.startsWith("/keys")
        ? world.keyId
        : path.startsWith("/endpoints")
          ? world.endpointId
          : world.requestId,
  };
  const query = (operation.parameters ?? [])
    .filter((one) => one.in === "query" && one.schema.example !== undefined)
    .map(({ name, schema }) => [
      name,
      schema.example === EXAMPLE_WAID ? world.waid : schema.example,
    ]);
  const search = new URLSearchParams(query as string[][]).toString();
  const named = path.replace(/\{(\w+)\}/g, (_, name: string) => String(ids[name]));
  return search === "" ? named : `${named}?${search}`;
}

function ownHeaders({ operation }: Operation): Record<string, string> {
  const headers = (operation.parameters ?? []).filter((one) => one.in === "header");
  return Object.fromEntries(headers.map(({ name, schema }) => [name, schema.example ?? ""]));
}

function success({ name, operation }: Operation): { status: number; media: MediaType } {
  const [status, response] =
    Object.entries(operation.responses).find(([one]) => one.startsWith("2")) ?? [];
  const media = response?.content?.["application/json"];
  if (media === undefined) throw new Error(`${name} has no answer in JSON`);
  return { status: Number(status), media };
}

function faultsIn(value: unknown, schema: Record<string, unknown>, whole: OpenApiDocument) {
  const rooted = { ...schema, components: whole.components } as Schema;
  return new Validator(rooted, "2020-12", false).validate(value).errors;
}

it.each(operations.map((one) => [one.name, one] as const))("%s", async (_, one) => {
  const { method, operation } = one;
  const media = operation.requestBody?.content["application/json"];
  const bodies = Object.values(media?.examples ?? {}).map(({ value }) => value);
  const { status, media: answered } = success(one);
  for (const body of bodies.length === 0 ? [undefined] : bodies) {
    const world = await newWorld();
    await BEFORE[operation.operationId]?.(world);
    if (body !== undefined) expect(faultsIn(body, media?.schema ?? {}, document)).toEqual([]);
    const text = body === undefined ? undefined : ownBody(body, world);
    const parts = { headers: ownHeaders(one) };
    const answer = await v1(method, ownPath(one, world), world.apiKey, text, parts);
    expect(answer.status, `for ${JSON.stringify(answer.body)}`).toBe(status);
    expect(faultsIn(answer.body, answered.schema, document)).toEqual([]);
    for (const { value } of Object.values(answered.examples ?? {})) {
      expect(faultsIn(value, answered.schema, document)).toEqual([]);
      expect(Object.keys(value)).toEqual(Object.keys(answer.body));
    }
  }
});

it("the judge of answers finds what is wrong with one", () => {
  const get = operations.find(({ name }) => name === "GET /messages/{id}");
  const { schema, examples } =
    get === undefined ? { schema: {}, examples: {} } : success(get).media;
  const [example] = Object.values(examples ?? {});
  expect(example?.value["id"]).toBe(EXAMPLE_MESSAGE_ID);
  expect(faultsIn({ ...example?.value, id: "1" }, schema, document)).not.toEqual([]);
  expect(faultsIn({ ...example?.value, status: "lost" }, schema, document)).not.toEqual([]);
  expect(faultsIn({ ...example?.value, expected_at: "besok" }, schema, document)).not.toEqual([]);
});
