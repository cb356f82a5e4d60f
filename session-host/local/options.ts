/**
 * What a local start may be told, by environment and by arguments, parsed once. Holds no defaults for anything
 * secret, and refuses what it does not know rather than ignoring it.
 */
import { resolve } from "node:path";
import { z } from "zod";
import { err, ok } from "../../src/domain/result.ts";
import type { Result } from "../../src/domain/result.ts";

/** Which WhatsApp the session host talks to. */
export type WhatsAppTarget =
  | { kind: "simulator" }
  /** A server of the caller's own, at WHATSAPP_URL. */
  | { kind: "other"; url: string }
  /** WhatsApp itself. */
  | { kind: "real" };

export interface StartOptions {
  statePath: string;
  host: string;
  port: number;
  simulatorPort: number;
  pacing: "on" | "off";
  whatsApp: WhatsAppTarget;
}

const port = z.coerce.number().int().min(0).max(65_535);

const environment = z.object({
  KABAR_DATA: z.string().min(1).default(".kabar"),
  KABAR_PACING: z.enum(["on", "off"]).default("on"),
  HOST: z.string().min(1).max(253).default("127.0.0.1"),
  PORT: port.default(8787),
  SIMULATOR_PORT: port.default(8788),
  WHATSAPP_URL: z.url({ protocol: /^wss?$/ }).optional(),
});

/** Reads the options of `npm start`, or says in one sentence what is wrong with them. */
export function readStartOptions(
  env: NodeJS.ProcessEnv,
  args: readonly string[],
  folder: string,
): Result<StartOptions, string> {
  const unknown = args.find((arg) => arg !== "--real");
  if (unknown !== undefined) {
    return err(
      `I do not know the argument "${unknown}"; the only one is --real (npm start -- --real).`,
    );
  }
  const given = Object.fromEntries(Object.entries(env).filter(([, value]) => value !== ""));
  const parsed = environment.safeParse(given);
  if (!parsed.success) {
    const names = parsed.error.issues.map((issue) => issue.path.join("."));
    return err(
      `${[...new Set(names)].join(" and ")} cannot be used as set (README, "Configuration").`,
    );
  }
  const real = args.includes("--real");
  if (real && parsed.data.WHATSAPP_URL !== undefined) {
    return err(
      "--real means WhatsApp itself, and WHATSAPP_URL another server: set only one of them.",
    );
  }
  return ok({
    statePath: resolve(folder, parsed.data.KABAR_DATA),
    host: parsed.data.HOST,
    port: parsed.data.PORT,
    simulatorPort: parsed.data.SIMULATOR_PORT,
    pacing: parsed.data.KABAR_PACING,
    whatsApp: whatsAppTarget(real, parsed.data.WHATSAPP_URL),
  });
}

function whatsAppTarget(real: boolean, url: string | undefined): WhatsAppTarget {
  if (real) return { kind: "real" };
  return url === undefined ? { kind: "simulator" } : { kind: "other", url };
}
