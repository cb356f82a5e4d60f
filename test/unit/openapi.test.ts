/** The OpenAPI document of /v1 as a document: valid by the specification's own schema, and fit to be read. */
import { readFileSync } from "node:fs";
import { Validator } from "@seriousme/openapi-schema-validator";
import { describe, expect, it } from "vitest";
import { openApiDocument } from "../../src/api/v1/routes.ts";

interface Operation {
  operationId?: string;
  summary?: string;
  tags?: string[];
  parameters?: { name: string; in: string; required?: boolean; schema: { example?: unknown } }[];
  requestBody?: { content: Record<string, { examples?: object }> };
  responses: Record<
    string,
    { description: string; content?: Record<string, { examples?: object; schema?: object }> }
  >;
}

const document = openApiDocument("https://kabar.test");
const operations = Object.entries(document.paths ?? {}).flatMap(([path, item]) =>
  Object.entries(item as Record<string, Operation>).map(([method, operation]) => ({
    name: `${method.toUpperCase()} ${path}`,
    path,
    operation,
  })),
);

describe("the OpenAPI document", () => {
  it("is valid by the schema of OpenAPI 3.1, and every reference in it leads somewhere", async () => {
    const validator = new Validator();
    const { valid, errors } = await validator.validate(
      JSON.parse(JSON.stringify(document)) as Record<string, unknown>,
    );
    expect(errors ?? []).toEqual([]);
    expect(valid).toBe(true);
    expect(validator.version).toBe("3.1");
    const text = JSON.stringify(document);
    for (const [, name] of text.matchAll(/"#\/components\/schemas\/(\w+)"/g)) {
      expect(Object.keys(document.components?.schemas ?? {})).toContain(name);
    }
  });

  it("names every operation once, with a summary and a known tag", () => {
    const tags = (document.tags ?? []).map((tag) => tag.name);
    const ids = operations.map(({ operation }) => operation.operationId);
    expect(ids).toEqual([...new Set(ids)]);
    for (const { name, operation } of operations) {
      expect(operation.operationId, `for ${name}`).toMatch(/^[a-z][A-Za-z]+$/);
      expect(operation.summary, `for ${name}`).toMatch(/^\S.*[^.]$/);
      expect(tags, `for ${name}`).toContain(operation.tags?.[0]);
    }
  });

  it("shows an example of every body, every answer and every part of a path", () => {
    for (const { name, path, operation } of operations) {
      for (const media of Object.values(operation.requestBody?.content ?? {})) {
        expect(Object.keys(media.examples ?? {}), `for ${name}`).not.toEqual([]);
      }
      const successes = Object.entries(operation.responses).filter(([status]) =>
        status.startsWith("2"),
      );
      expect(successes, `for ${name}`).toHaveLength(1);
      for (const [, response] of successes) {
        for (const media of Object.values(response.content ?? {})) {
          expect(Object.keys(media.examples ?? {}), `for ${name}`).not.toEqual([]);
        }
      }
      const parameters = (operation.parameters ?? []).filter((one) => one.in === "path");
      const inPath = parameters.map((one) => `{${one.name}}`);
      expect(inPath, `for ${name}`).toEqual(path.match(/\{\w+\}/g) ?? []);
      for (const one of parameters) expect(one.schema.example, `${name} ${one.name}`).toBeDefined();
    }
  });

  it("refuses by codes that the reference explains", () => {
    const reference = readFileSync(
      new URL("../../docs/api-v1.md", import.meta.url).pathname,
      "utf8",
    );
    const codes = operations.flatMap(({ operation }) =>
      Object.values(operation.responses).flatMap(
        ({ description }) => /^Refused: (.*)$/.exec(description)?.[1]?.split(", ") ?? [],
      ),
    );
    const silent = [...new Set(codes)].filter((code) => !reference.includes(`\`${code}\``));
    expect(silent).toEqual([]);
    expect(codes).toContain("balance_short");
  });

  it("lets every operation refuse by a problem document, and asks for a key", () => {
    expect(document.security).toEqual([{ key: [] }]);
    for (const { name, operation } of operations) {
      for (const status of ["401", "403", "429", "503", "default"]) {
        const response = operation.responses[status];
        expect(Object.keys(response?.content ?? {}), `${name} ${status}`).toEqual([
          "application/problem+json",
        ]);
      }
    }
  });
});
