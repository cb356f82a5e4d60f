/** Calls of /v1 as a client makes them, and the document that describes them. Judging is left to the tests. */
import { request, type RequestParts } from "./harness.ts";

export interface V1Answer {
  status: number;
  body: Record<string, unknown>;
  headers: Headers;
}

/** `path` without /v1; `body` is written as JSON unless it is a text. */
export async function v1(
  method: string,
  path: string,
  token: string | undefined,
  body?: unknown,
  parts: RequestParts = {},
): Promise<V1Answer> {
  const text = typeof body === "string" ? body : JSON.stringify(body);
  const response = await request(method, `/v1${path}`, {
    ...(token === undefined ? {} : { token }),
    ...(body === undefined ? {} : { body: text }),
    ...parts,
    headers: {
      ...(body === undefined ? {} : { "content-type": "application/json" }),
      ...parts.headers,
    },
  });
  const answer = await response.text();
  return {
    status: response.status,
    body: (answer === "" ? {} : JSON.parse(answer)) as Record<string, unknown>,
    headers: response.headers,
  };
}

export interface MediaType {
  schema: Record<string, unknown>;
  examples?: Record<string, { value: Record<string, unknown> }>;
}

export interface Operation {
  operationId: string;
  parameters?: { name: string; in: string; schema: { example?: string } }[];
  requestBody?: { required?: boolean; content: Record<string, MediaType> };
  responses: Record<string, { content?: Record<string, MediaType> }>;
}

export interface OpenApiDocument {
  paths: Record<string, Record<string, Operation>>;
  components: Record<string, unknown>;
}

/** As anybody gets it: it needs no key. */
export async function openApi(): Promise<OpenApiDocument> {
  const response = await request("GET", "/v1/openapi.json");
  return response.json<OpenApiDocument>();
}

/** `GET /devices/{waid}` and so on, in the order of the document. */
export function operationsOf(document: OpenApiDocument) {
  return Object.entries(document.paths).flatMap(([path, item]) =>
    Object.entries(item).map(([method, operation]) => ({
      name: `${method.toUpperCase()} ${path}`,
      method: method.toUpperCase(),
      path,
      operation,
    })),
  );
}
