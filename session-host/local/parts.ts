/**
 * Which programs a local start consists of, and what each is told. Only here is it written which environment a
 * part gets. Draws no secrets and starts nothing.
 */
import { resolve } from "node:path";
import { EDGE_SETTINGS_VARIABLE } from "./edge-settings.ts";
import type { EdgeSettings } from "./edge-settings.ts";
import type { PartName, PartSpec } from "./part.ts";

const FOLDER = import.meta.dirname;

/** What a person calls them. */
export const PART_TITLES: Record<PartName, string> = {
  worker: "Worker",
  simulator: "simulator",
  host: "session host",
};

/** Tools of the Worker's process that would otherwise talk, to us or to their makers. */
const QUIET = {
  WRANGLER_LOG: "none",
  WRANGLER_WRITE_LOGS: "false",
  WRANGLER_SEND_METRICS: "false",
  CLOUDFLARE_CF_FETCH_ENABLED: "false",
  NO_COLOR: "1",
};

export function workerSpec(settings: EdgeSettings): PartSpec {
  return {
    name: "worker",
    script: resolve(FOLDER, "edge.ts"),
    env: { ...QUIET, [EDGE_SETTINGS_VARIABLE]: JSON.stringify(settings) },
  };
}

export function simulatorSpec(host: string, port: number, stateFile: string): PartSpec {
  return {
    name: "simulator",
    script: resolve(FOLDER, "../simulator/main.ts"),
    env: { HOST: host, SIMULATOR_PORT: String(port), SIMULATOR_STATE: stateFile, NO_COLOR: "1" },
  };
}

export interface HostSettings {
  /** The Worker, at a loopback address. */
  gatewayUrl: string;
  token: string;
  sealKey: string;
  /** Null: WhatsApp itself. */
  whatsAppUrl: string | null;
}

export function hostSpec(settings: HostSettings, extra: Record<string, string> = {}): PartSpec {
  return {
    name: "host",
    script: resolve(FOLDER, "../main.ts"),
    env: {
      GATEWAY_URL: settings.gatewayUrl,
      HOST_TOKEN: settings.token,
      SEAL_KEY: settings.sealKey,
      // Empty counts as not set, and hides what this process was given.
      WHATSAPP_URL: settings.whatsAppUrl ?? "",
      HEALTH_PORT: "0",
      NO_COLOR: "1",
      ...extra,
    },
  };
}
