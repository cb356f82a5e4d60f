/**
 * Sending mail, by whatever the operator has configured: Cloudflare's `send_email` binding, or an HTTP API that takes
 * `{from, to, subject, text}` with a bearer token, as Cloudflare's own and others do. One recipient, plain text. A
 * failure is a value; it refuses to repeat anything and never logs an address.
 */
import type { Config } from "../config.ts";
import type { Clock } from "../domain/clock.ts";
import { cross } from "../domain/crossing.ts";
import { withDeadline } from "../domain/deadline.ts";
import { POST_TIMEOUT_MS, post } from "./post.ts";

export interface Mail {
  /** The same when it is sent again: services that know it send it once. */
  id: string;
  to: string;
  subject: string;
  text: string;
}

/** `refused`: the same mail would be refused again. `failed`: it may be taken later. */
export type MailOutcome = { kind: "taken" } | { kind: "refused" | "failed"; why: string };

export type Mailer = (mail: Mail) => Promise<MailOutcome>;

type MailConfig = Pick<Config, "MAIL_FROM" | "MAIL_API_URL" | "MAIL_API_TOKEN">;

/** What the binding answers for a mail that no later try will get through. */
const LASTING_CODES: ReadonlySet<string> = new Set([
  "E_VALIDATION_ERROR",
  "E_FIELD_MISSING",
  "E_CONTENT_TOO_LARGE",
  "E_RECIPIENT_NOT_ALLOWED",
  "E_RECIPIENT_SUPPRESSED",
]);
const LASTING_STATUSES: ReadonlySet<number> = new Set([400, 413, 422]);

/** Null when mail is not configured. The binding goes before the API. */
export function mailerFor(
  binding: SendEmail | undefined,
  config: MailConfig,
  clock: Clock,
): Mailer | null {
  const { MAIL_FROM: from, MAIL_API_URL: url, MAIL_API_TOKEN: token } = config;
  if (from === undefined) return null;
  if (binding !== undefined) return async (mail) => sendByBinding(binding, from, mail);
  if (url === undefined || token === undefined) return null;
  return async (mail) => sendByApi({ url, token, from }, mail, clock);
}

async function sendByBinding(binding: SendEmail, from: string, mail: Mail): Promise<MailOutcome> {
  const { to, subject, text } = mail;
  try {
    const sent = cross("http", "mail.send", async () => binding.send({ from, to, subject, text }));
    await withDeadline(sent, POST_TIMEOUT_MS);
    return { kind: "taken" };
  } catch (error) {
    const code = codeOf(error);
    return { kind: LASTING_CODES.has(code) ? "refused" : "failed", why: code };
  }
}

/** Never the error's own message: it may quote the address. */
function codeOf(error: unknown): string {
  const code: unknown = error instanceof Error ? Reflect.get(error, "code") : undefined;
  if (typeof code === "string") return code;
  return error instanceof Error ? error.name : typeof error;
}

async function sendByApi(
  api: { url: string; token: string; from: string },
  { id, to, subject, text }: Mail,
  clock: Clock,
): Promise<MailOutcome> {
  const request = {
    url: api.url,
    headers: {
      authorization: `Bearer ${api.token}`,
      "content-type": "application/json",
      "idempotency-key": id,
    },
    body: JSON.stringify({ from: api.from, to, subject, text }),
  };
  const end = await post("mail.send", request, clock, new AbortController());
  if (end.kind !== "answered") return { kind: "failed", why: end.kind };
  const { status } = end;
  if (status >= 200 && status < 300) return { kind: "taken" };
  return { kind: LASTING_STATUSES.has(status) ? "refused" : "failed", why: String(status) };
}
