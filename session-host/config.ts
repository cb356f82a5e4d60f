/**
 * The host's environment, parsed once. A bad value ends in one clear sentence, never in a stack trace and never
 * with the value itself. Refuses unencrypted addresses other than this machine's own.
 */
import { z } from "zod";
import { err, ok } from "../src/domain/result.ts";
import type { Result } from "../src/domain/result.ts";
import { parseSealKeys } from "./sealing.ts";
import type { SealKey } from "./sealing.ts";

const loopbackNames = new Set(["localhost", "127.0.0.1", "[::1]", "::1"]);

function isLoopback(url: URL): boolean {
  return loopbackNames.has(url.hostname);
}

const gatewayUrl = z
  .string({ error: "is missing" })
  .refine((text) => URL.canParse(text), "is not a URL")
  .transform((text) => new URL(text))
  .refine(
    (url) => url.protocol === "https:" || (url.protocol === "http:" && isLoopback(url)),
    "must be https:// (http:// only for this machine)",
  );

const whatsAppUrl = z
  .string()
  .refine((text) => URL.canParse(text), "is not a URL")
  .transform((text) => new URL(text))
  .refine(
    (url) => url.protocol === "wss:" || (url.protocol === "ws:" && isLoopback(url)),
    "must be wss:// (ws:// only for this machine)",
  );

const whatsAppVersion = z
  .string()
  .regex(/^\d{1,6}\.\d{1,6}\.\d{1,12}$/, "must look like 2.3000.1043857760")
  .transform((text): [number, number, number] => {
    const [major = 0, minor = 0, patch = 0] = text.split(".").map(Number);
    return [major, minor, patch];
  });

const environment = z.object({
  GATEWAY_URL: gatewayUrl,
  HOST_TOKEN: z.string({ error: "is missing" }).min(16, "is too short to be a host token"),
  SEAL_KEY: z.string({ error: "is missing" }).transform((text, context): SealKey[] => {
    const keys = parseSealKeys(text);
    if (keys.ok) return keys.value;
    context.addIssue({
      code: "custom",
      message: "must be <keyId>:<base64 of 32 bytes>, comma-separated",
    });
    return z.NEVER;
  }),
  CAPACITY: z.coerce.number({ error: "is no number" }).int().min(1).max(2000).default(200),
  WHATSAPP_URL: whatsAppUrl.optional(),
  WHATSAPP_VERSION: whatsAppVersion.optional(),
  HEALTH_PORT: z.coerce.number({ error: "is no number" }).int().min(0).max(65_535).default(8080),
  HEALTH_HOST: z.string().min(1).default("127.0.0.1"),
  LOG_LEVEL: z.enum(["trace", "debug", "info", "warn", "error", "fatal", "silent"]).default("info"),
});

export interface HostConfig {
  gatewayUrl: URL;
  hostToken: string;
  sealKeys: SealKey[];
  capacity: number;
  /** Null: WhatsApp itself. */
  whatsAppUrl: URL | null;
  whatsAppVersion: [number, number, number] | null;
  healthPort: number;
  healthHost: string;
  logLevel: string;
}

/** The failure is one sentence naming each wrong setting, without its value. */
export function parseConfig(env: Record<string, string | undefined>): Result<HostConfig, string> {
  const filled = Object.fromEntries(Object.entries(env).filter(([, value]) => value !== ""));
  const parsed = environment.safeParse(filled);
  if (!parsed.success) {
    const wrong = parsed.error.issues.map((issue) => `${issue.path.join(".")} ${issue.message}`);
    return err(`The session host cannot start: ${[...new Set(wrong)].join("; ")}.`);
  }
  const value = parsed.data;
  return ok({
    gatewayUrl: value.GATEWAY_URL,
    hostToken: value.HOST_TOKEN,
    sealKeys: value.SEAL_KEY,
    capacity: value.CAPACITY,
    whatsAppUrl: value.WHATSAPP_URL ?? null,
    whatsAppVersion: value.WHATSAPP_VERSION ?? null,
    healthPort: value.HEALTH_PORT,
    healthHost: value.HEALTH_HOST,
    logLevel: value.LOG_LEVEL,
  });
}

/** `path` under the gateway, as a WebSocket address. */
export function bridgeUrl(gateway: URL, path: string): URL {
  const url = new URL(path, gateway);
  url.protocol = gateway.protocol === "https:" ? "wss:" : "ws:";
  return url;
}
