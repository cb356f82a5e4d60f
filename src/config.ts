/**
 * The Worker's vars and secrets, parsed once per isolate. Refuses to start with a missing or malformed secret:
 * there are no defaults for anything that protects something.
 */
import { z } from "zod";

const base64Key = z.string().regex(/^[A-Za-z0-9+/]{43}=$/, "32 bytes in base64");
const KEYS_MAX = 5;

/** A var that was set to nothing is not set. */
const optional = <T extends z.ZodType>(schema: T) =>
  z.preprocess((value) => (value === "" ? undefined : value), schema.optional());

const vars = z.object({
  /** Seals texts in D1, at devices and at endpoints. 32 bytes, base64; several, comma-separated: the first seals, all open. */
  BODY_KEY: z
    .string()
    .transform((text) => text.split(",").map((key) => key.trim()))
    .pipe(z.array(base64Key).min(1).max(KEYS_MAX)),
  /** Keys the duplicate and text fingerprints in D1. 32 bytes, base64. */
  FINGERPRINT_KEY: base64Key,
  /** SHA-256, hex, of the operator's bearer token. */
  OPERATOR_TOKEN_HASH: z.string().regex(/^[0-9a-f]{64}$/),
  /** Ed25519 public keys (base64) by seal key id: what a host must prove before it gets a device. JSON. */
  SEAL_PROOFS: z
    .string()
    .transform((text, context) => {
      try {
        return JSON.parse(text) as unknown;
      } catch {
        context.addIssue({ code: "custom", message: "must be JSON" });
        return z.NEVER;
      }
    })
    .pipe(z.record(z.string().min(1).max(32), base64Key)),
  /** What the old endpoints do with plain http: old clients speak it, an operator may want no key to travel so. */
  PLAIN_HTTP: z.enum(["answered", "refused"]).default("answered"),
  /** What one API key may ask of /v1, in each isolate. */
  KEY_REQUESTS_PER_MINUTE: z.coerce.number().int().min(1).max(1_000_000).default(600),
  /** `allow` lets webhooks point to this machine: for a start on one machine and for tests only. */
  WEBHOOK_LOOPBACK: z.enum(["allow", "refuse"]).default("refuse"),
  /** Host names this gateway answers at, comma-separated: no webhook may point to them or below them. */
  WEBHOOK_OWN_HOSTS: z
    .string()
    .default("")
    .transform((text) =>
      text
        .toLowerCase()
        .split(",")
        .map((host) => host.trim()),
    )
    .transform((hosts) => hosts.filter((host) => host !== "")),
  /** `off` sends as fast as the phone takes them: for tests and benches only. */
  PACING: z.enum(["on", "off"]).default("on"),
  /** A phone whose open connection WhatsApp closes this often within an hour is paused; 0: never for that. */
  CLOSES_PER_HOUR_MAX: z.coerce.number().int().min(0).max(1_000).default(5),
  /** Logins at WhatsApp that all hosts together may begin in a second, and have under way at once. */
  LOGINS_PER_SECOND: z.coerce.number().min(0.1).max(1_000).default(40),
  LOGINS_AT_ONCE: z.coerce.number().int().min(1).max(1_000).default(20),
  /** How long lines of the request log gather in an isolate before they go to D1 in one batch, ms. */
  REQUEST_LOG_DELAY_MS: z.coerce.number().int().min(0).max(20_000).default(1_000),
  /** How long ends and statuses gather in a device before they go to D1 in one batch, ms. */
  FLUSH_DELAY_MS: z.coerce.number().int().min(0).max(60_000).default(10_000),
  /** What D1 may hold on the operator's plan; a person is called at 60 % of it. */
  D1_SIZE_MAX_MB: z.coerce.number().int().min(1).default(10_000),
  /** Where alerts are posted, signed with the secret (`whsec_` and base64). */
  ALERT_WEBHOOK_URL: optional(z.url()),
  ALERT_WEBHOOK_SECRET: optional(z.string().regex(/^whsec_[A-Za-z0-9+/]{32,}={0,2}$/)),
  /** Whom alerts are mailed to. */
  ALERT_MAIL_TO: optional(z.email()),
  /** The sender of every mail; without it there are none. */
  MAIL_FROM: optional(z.email()),
  /** An HTTP API for mail, where the EMAIL binding is not used. */
  MAIL_API_URL: optional(z.url({ protocol: /^https?$/ })),
  MAIL_API_TOKEN: optional(z.string().min(1)),
});

type Vars = z.infer<typeof vars>;

/** Half of a sink would be silently none. */
const pairs: [keyof Vars, keyof Vars][] = [
  ["ALERT_WEBHOOK_URL", "ALERT_WEBHOOK_SECRET"],
  ["MAIL_API_URL", "MAIL_API_TOKEN"],
];

const schema = vars.superRefine((values, context) => {
  for (const pair of pairs) {
    const missing = pair.find((name) => values[name] === undefined);
    const given = pair.find((name) => values[name] !== undefined);
    if (missing === undefined || given === undefined) continue;
    context.addIssue({ code: "custom", path: [missing], message: `is needed beside ${given}` });
  }
});

export type Config = z.infer<typeof schema>;

const parsed = new WeakMap<Cloudflare.Env, Config>();

/** Parses `env` on first use; throws one sentence that names what is wrong. */
export function readConfig(env: Cloudflare.Env): Config {
  const known = parsed.get(env);
  if (known !== undefined) return known;
  const result = schema.safeParse(env);
  if (!result.success) {
    const fields = result.error.issues.map((issue) => issue.path.join(".")).join(", ");
    throw new Error(`configuration is missing or malformed: ${fields}`);
  }
  parsed.set(env, result.data);
  return result.data;
}
