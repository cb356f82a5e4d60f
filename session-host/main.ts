/**
 * Starts the session host, or prints a fresh seal key with `--new-seal-key [id]`. Ends with 1 and one sentence on
 * a bad setting, with 0 after SIGTERM or SIGINT, and with 1 on a fault of its own rather than living on half dead.
 */
import { randomUUID } from "node:crypto";
import { AlertPost } from "./alert-post.ts";
import { newSealKeyLines } from "./seal-proof.ts";
import { parseConfig } from "./config.ts";
import type { HostConfig } from "./config.ts";
import { systemClock } from "./clock.ts";
import { createLog, silenceConsole } from "./log.ts";
import type { Log } from "./log.ts";
import { StoreFailed } from "./store.ts";

/** A rejection nobody awaits inside Baileys, of a socket that has closed meanwhile: that session handles its close. */
function belongsToClosedSocket(reason: unknown): boolean {
  return reason instanceof StoreFailed || (reason instanceof Error && "isBoom" in reason);
}

function dieOnFaults(log: Log, alerts: AlertPost): void {
  const die = (): void => {
    void alerts.last("crashed").finally(() => process.exit(1));
  };
  process.on("unhandledRejection", (reason) => {
    if (belongsToClosedSocket(reason)) {
      log.debug({ err: reason }, "late rejection of a closed socket");
      return;
    }
    log.fatal({ err: reason }, "unhandled rejection");
    die();
  });
  process.on("uncaughtException", (error) => {
    log.fatal({ err: error }, "uncaught exception");
    die();
  });
}

async function run(config: HostConfig): Promise<void> {
  // Baileys makes errors on every write, and their stacks are never shown: a tenth of the CPU time of a message.
  Error.stackTraceLimit = 0;
  const log = createLog(config.logLevel);
  const { gatewayUrl, hostToken } = config;
  const alerts = new AlertPost({ gatewayUrl, hostToken, random: Math.random, log });
  dieOnFaults(log, alerts);
  // Before Baileys and libsignal are loaded: both print secrets through console.
  silenceConsole();
  const [{ baileysWhatsApp }, { Host }, { createMetrics }, { startHealth }] = await Promise.all([
    import("./baileys/client.ts"),
    import("./host.ts"),
    import("./metrics.ts"),
    import("./health.ts"),
  ]);
  const metrics = createMetrics();
  const whatsApp = baileysWhatsApp({
    clock: systemClock,
    url: config.whatsAppUrl,
    version: config.whatsAppVersion,
    qrLifeMs: null,
  });
  const host = new Host({
    config,
    bootId: randomUUID(),
    clock: systemClock,
    random: Math.random,
    log,
    metrics,
    whatsApp,
    alerts,
  });
  let ending = false;
  const end = async (signal: string): Promise<void> => {
    if (ending) return;
    ending = true;
    log.info({ signal }, "handing devices over");
    await host.stop();
    log.info("session host ended");
    process.exit(0);
  };
  process.on("SIGTERM", () => void end("SIGTERM"));
  process.on("SIGINT", () => void end("SIGINT"));
  const health = await startHealth(host, metrics, {
    port: config.healthPort,
    hostname: config.healthHost,
  }).catch(() => null);
  if (health === null) {
    fail(
      `The session host cannot start: HEALTH_PORT ${config.healthPort} is in use or not allowed.`,
    );
  }
  log.info({ capacity: config.capacity, healthPort: health.port }, "session host started");
}

function fail(sentence: string): never {
  process.stderr.write(`${sentence}\n`);
  process.exit(1);
}

const [option, id = "k1"] = process.argv.slice(2);
if (option === "--new-seal-key") {
  if (!/^[A-Za-z0-9_-]{1,32}$/.test(id)) fail("A seal key id has 1 to 32 letters, digits, - or _.");
  process.stdout.write(newSealKeyLines(id));
} else if (option !== undefined) {
  fail("Usage: node session-host/main.ts [--new-seal-key [id]]");
} else {
  const config = parseConfig(process.env);
  if (!config.ok) fail(config.error);
  await run(config.value);
}
