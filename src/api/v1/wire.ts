/**
 * What every route of /v1 is made with: an app whose routes are their own documentation, refusals as problem
 * documents, and the parameters that several routes share. Holds no route and no rule.
 */
import { createRoute, OpenAPIHono, z } from "@hono/zod-openapi";
import type { Context, TypedResponse } from "hono";
import type { KeyMode } from "../../domain/api-key.ts";
import type { RequestFailure } from "../../domain/failure.ts";
import type { Caller } from "../../gateway/device-answer.ts";
import type { ApiEnv } from "../environment.ts";
import { problem, ROUTE_UNKNOWN, type Problem } from "../problem.ts";
import { problemOf } from "./failure.ts";

export interface V1Env extends ApiEnv {
  Variables: ApiEnv["Variables"] & { caller: Caller & { keyMode: KeyMode } };
}

export type V1Context = Context<V1Env>;

/** One noun's routes. What fails its schema is answered here, before the handler. */
export function v1App(): OpenAPIHono<V1Env> {
  return new OpenAPIHono<V1Env>({
    defaultHook: (result, c) => {
      if (result.success) return undefined;
      if (result.target === "param") return problem(ROUTE_UNKNOWN, c.get("requestId"));
      const [issue] = result.error.issues;
      const field = issue?.path.join(".") ?? "";
      const detail = `${field === "" ? "The body" : field}: ${issue === undefined ? "is malformed" : sentenceOf(issue)}`;
      return problem(problemOf({ reason: "body_malformed", detail }), c.get("requestId"));
    },
  });
}

const NAME_SHOWN_MAX = 40;

/** A body may have many names that nobody knows: the first one, shortened, says what is wrong. */
function sentenceOf(issue: z.core.$ZodIssue): string {
  if (issue.code !== "unrecognized_keys") return issue.message;
  const [first = "", ...others] = issue.keys;
  const shown = first.length > NAME_SHOWN_MAX ? `${first.slice(0, NAME_SHOWN_MAX)}...` : first;
  return `Unrecognized key: "${shown}"${others.length === 0 ? "" : ` and ${others.length} more`}`;
}

const problemSchema = z
  .object({
    type: z.string(),
    title: z.string(),
    status: z.int(),
    detail: z.string().openapi({ description: "A sentence for a person." }),
    code: z.string().openapi({ description: "For a program. The list is in the reference." }),
    request_id: z.string().openapi({ description: "Name it when you ask for help." }),
  })
  .openapi("Problem", { description: "A refusal (RFC 9457)." });

interface ProblemResponse {
  description: string;
  content: { "application/problem+json": { schema: typeof problemSchema } };
}

function problemResponse(codes: string[]): ProblemResponse {
  return {
    description: codes.length === 0 ? "Any other refusal" : `Refused: ${codes.join(", ")}`,
    content: { "application/problem+json": { schema: problemSchema } },
  };
}

/** Any caller of any route with a key may meet these. */
const EVERYWHERE: Problem[] = [
  { status: 401, code: "key_unknown", sentence: "" },
  { status: 403, code: "address_not_allowed", sentence: "" },
  { status: 403, code: "test_key_refused", sentence: "" },
  { status: 429, code: "rate_limited", sentence: "" },
  { status: 429, code: "too_many_unknown_keys", sentence: "" },
  { status: 503, code: "system_unavailable", sentence: "" },
];

const WITH_QUERY: Problem[] = [{ status: 422, code: "body_malformed", sentence: "" }];
const WITH_BODY: Problem[] = [
  { status: 400, code: "json_malformed", sentence: "" },
  { status: 413, code: "body_too_large", sentence: "" },
  ...WITH_QUERY,
];

/**
 * The responses of a route beside its success: what it may refuse, by what the failures look like. Typed as the
 * one thing they all are.
 */
export function refusals(
  takesBody: boolean | "query",
  ...failures: (RequestFailure | Problem)[]
): { default: ProblemResponse } {
  const own = failures.map((failure) => ("reason" in failure ? problemOf(failure) : failure));
  const byStatus = new Map<number, string[]>();
  const read = takesBody === "query" ? WITH_QUERY : takesBody ? WITH_BODY : [];
  for (const { status, code } of [...EVERYWHERE, ...read, ...own]) {
    const codes = byStatus.get(status) ?? [];
    if (!codes.includes(code)) byStatus.set(status, [...codes, code]);
  }
  const listed = [...byStatus].map(([status, codes]) => [status, problemResponse(codes)] as const);
  return { ...Object.fromEntries(listed), default: problemResponse([]) };
}

type RefusalStatus = 400 | 401 | 402 | 403 | 404 | 409 | 413 | 422 | 429 | 500 | 503;
type OneRefusal<Status> = Status extends RefusalStatus
  ? TypedResponse<z.infer<typeof problemSchema>, Status, "json">
  : never;
type Refusal = OneRefusal<RefusalStatus>;

/** Every refusal of a route leaves through here. */
export function refused(c: V1Context, failure: RequestFailure): Refusal {
  const { clock, strangers } = c.get("services");
  if (strangers.hear(c.get("caller"), failure, clock())) c.set("isStranger", true);
  return refusedWith(c, problemOf(failure));
}

export function refusedWith(c: V1Context, refusal: Problem): Refusal {
  // A plain response that the type system is told about: its body is the schema above.
  return problem(refusal, c.get("requestId")) as unknown as Refusal;
}

/** A JSON body as a route takes or gives it, with examples that the tests run. */
export function json<T extends z.ZodType>(schema: T, examples: Record<string, object>) {
  const named = Object.entries(examples).map(([name, value]) => [name, { value }] as const);
  return { "application/json": { schema, examples: Object.fromEntries(named) } };
}

export function answer<T extends z.ZodType>(
  description: string,
  schema: T,
  examples: Record<string, object>,
) {
  return { description, content: json(schema, examples) };
}

/** In examples, this stands for a device of the reader's own. */
export const EXAMPLE_WAID = "K7M2QX";
export const EXAMPLE_MESSAGE_ID = 5965088963277;

export const waidSchema = z.string().regex(/^[A-Za-z0-9]{3,16}$/, "is not the id of a device");

/** RFC 3339 with an offset, in milliseconds since 1970 UTC once it is read. */
export const instantSchema = z.iso
  .datetime({
    offset: true,
    message: "is a time with an offset, such as 2026-12-01T08:00:00+07:00",
  })
  .transform((written) => Date.parse(written));

export const waidParam = waidSchema.openapi({
  param: { name: "waid", in: "path" },
  example: EXAMPLE_WAID,
});

/** A message's or key's number in a path. */
export function idParam(example: number) {
  return z
    .string()
    .regex(/^[1-9]\d{0,13}$/)
    .openapi({ param: { name: "id", in: "path" }, example: String(example) });
}

export { createRoute, z };

export function isoTime(ms: number): string {
  return new Date(ms).toISOString();
}

export function isoTimeOrNull(ms: number | null): string | null {
  return ms === null ? null : isoTime(ms);
}

/** How many a listing answers. */
export function limitParam(countMax: number, countDefault: number) {
  return z
    .string()
    .regex(/^\d{1,4}$/, `is 1 to ${countMax}`)
    .transform(Number)
    .refine((count) => count >= 1 && count <= countMax, `is 1 to ${countMax}`)
    .optional()
    .openapi({ type: "integer", minimum: 1, maximum: countMax, default: countDefault });
}

/** A time in an answer: ISO 8601 in UTC. */
export const timeSchema = z.iso.datetime();
