/** Refusals of the newer apis as problem documents (RFC 9457): machine code, sentence, request id. Decides none. */
export interface Problem {
  status: number;
  code: string;
  /** For a person; names no secret and quotes no input. */
  sentence: string;
  retryAfterS?: number;
}

const TITLES = new Map<number, string>([
  [400, "Bad Request"],
  [401, "Unauthorized"],
  [402, "Payment Required"],
  [403, "Forbidden"],
  [404, "Not Found"],
  [409, "Conflict"],
  [413, "Content Too Large"],
  [422, "Unprocessable Content"],
  [429, "Too Many Requests"],
  [500, "Internal Server Error"],
  [503, "Service Unavailable"],
]);

export function problem(refusal: Problem, requestId: string): Response {
  const { status, code, sentence, retryAfterS } = refusal;
  const headers = new Headers({ "Content-Type": "application/problem+json" });
  if (status === 401) headers.set("WWW-Authenticate", "Bearer");
  if (retryAfterS !== undefined) headers.set("Retry-After", String(retryAfterS));
  const title = TITLES.get(status) ?? "Error";
  const body = {
    type: "about:blank",
    title,
    status,
    detail: sentence,
    code,
    request_id: requestId,
  };
  return new Response(JSON.stringify(body), { status, headers });
}

export const SYSTEM_ERROR: Problem = {
  status: 500,
  code: "system_error",
  sentence: "Something failed on our side. Tell us the request id if it happens again.",
};

export const SYSTEM_UNAVAILABLE: Problem = {
  status: 503,
  code: "system_unavailable",
  sentence: "A part of the service does not answer. Try again.",
  retryAfterS: 5,
};

export const ROUTE_UNKNOWN: Problem = {
  status: 404,
  code: "route_unknown",
  sentence: "There is nothing at this address.",
};

export const JSON_MALFORMED: Problem = {
  status: 400,
  code: "json_malformed",
  sentence:
    "The body is not JSON in UTF-8, is nested too deeply, or has an object of more than 200 fields.",
};

export const BODY_TOO_LARGE: Problem = {
  status: 413,
  code: "body_too_large",
  sentence: "The body is longer than 64 KB.",
};

/** Too many requests with one key. */
export function rateLimited(retryAfterMs: number): Problem {
  return {
    status: 429,
    code: "rate_limited",
    sentence: "This key sends too many requests. Wait, then try again.",
    retryAfterS: Math.max(1, Math.ceil(retryAfterMs / 1000)),
  };
}

/** Too many unknown keys from one address. */
export function strangerHeld(retryAfterMs: number): Problem {
  return {
    status: 429,
    code: "too_many_unknown_keys",
    sentence: "Too many unknown API keys came from this address. Wait, then try again.",
    retryAfterS: Math.max(1, Math.ceil(retryAfterMs / 1000)),
  };
}
