/**
 * Structured lines on stdout, and nothing else there: `console` is silenced because libsignal prints sessions with
 * their private keys through it. Fields are names, counts and codes; never texts, numbers, keys or QR strings.
 */
import pino from "pino";
import type { DestinationStream, Logger } from "pino";

export type Log = Logger;

const secretFields = [
  "ticket",
  "resumeToken",
  "token",
  "qr",
  "code_text",
  "text",
  "to",
  "phone",
  "creds",
  "rows",
  "key",
];

export function createLog(level: string, stream?: DestinationStream): Log {
  const options = {
    level,
    base: null,
    timestamp: pino.stdTimeFunctions.isoTime,
    redact: { paths: secretFields.flatMap((field) => [field, `*.${field}`]), censor: "[secret]" },
    serializers: { err: describeError },
  };
  return stream === undefined ? pino(options) : pino(options, stream);
}

/**
 * An error of foreign code may quote what it was working on, so only our own keep their message. System errors
 * have a code that says enough.
 */
export function describeError(error: unknown): {
  name: string;
  message: string | null;
  code: string | null;
} {
  if (!(error instanceof Error)) return { name: typeof error, message: null, code: null };
  const code = "code" in error && typeof error.code === "string" ? error.code : null;
  const own = error instanceof HostError || error.message.startsWith("invariant broken");
  return { name: error.name, message: own ? error.message : null, code };
}

/** An error whose message was written by us and holds no data. */
export class HostError extends Error {
  override name = "HostError";
}

/** To be called before libsignal or Baileys is loaded. Counts what was swallowed. */
export function silenceConsole(target: Console = console): { swallowed: () => number } {
  let swallowed = 0;
  const swallow = (): void => {
    swallowed += 1;
  };
  for (const method of [
    "log",
    "info",
    "warn",
    "error",
    "debug",
    "trace",
    "dir",
    "table",
  ] as const) {
    target[method] = swallow;
  }
  return { swallowed: () => swallowed };
}
