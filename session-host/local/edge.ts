/**
 * The process that runs the Worker on this machine: bundles it, starts workerd by way of Miniflare with everything
 * wrangler.toml says, migrates D1, and reports over the pipe to its parent. It restarts nothing: when workerd ends,
 * it ends too. Requests reach workerd directly; only beyond loopback do they pass the front in this process.
 */
import { mkdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { Log, LogLevel, Miniflare, convertV4MiniflareOptions } from "miniflare";
import { randomHex, systemRandomBytes } from "../../src/domain/id.ts";
import { FRONT_SECRET_BINDING, SOCKET_ADDRESS_BINDING } from "./edge-bindings.ts";
import { startFront } from "./edge-front.ts";
import { applyMigrations } from "./edge-migrations.ts";
import { EDGE_SETTINGS_VARIABLE, edgeOrder, edgeSettings } from "./edge-settings.ts";
import type { EdgeReport, EdgeSettings } from "./edge-settings.ts";
import type { EdgeSource } from "./edge-source.ts";
import { holdLifeline } from "./workerd-lifeline.ts";

const CRON_INTERVAL_MS = 60_000;
const MESSAGE_CHARACTERS_MAX = 300;

function report(message: EdgeReport): void {
  process.send?.(message);
}

/** Structured log lines of the Worker, one a line, for the log file. */
function logLine(entry: { level: string; message: string }): void {
  process.stdout.write(`${entry.level} ${entry.message}\n`);
}

/** Reading the project costs a second: its tools are loaded only where nobody has read it before. */
async function sourceFor({ configPath, entry, sourcePath }: EdgeSettings): Promise<EdgeSource> {
  if (sourcePath !== undefined) return JSON.parse(readFileSync(sourcePath, "utf8")) as EdgeSource;
  const { readEdgeSource } = await import("./edge-source.ts");
  return readEdgeSource(configPath, entry);
}

function miniflareOptions(settings: EdgeSettings, source: EdgeSource, frontSecret: string) {
  const { workerOptions, bundle } = source;
  return convertV4MiniflareOptions({
    // Miniflare's own proxy, used only for migrations and cron: it would cost two thirds of the requests a second.
    host: "127.0.0.1",
    port: 0,
    cf: false,
    logRequests: false,
    log: new Log(LogLevel.NONE),
    handleStructuredLogs: logLine,
    unsafeHandleRuntimeRestart: () => {
      if (settings.restarts === true) report({ t: "ready", migrationsApplied: 0 });
      else process.exit(1);
    },
    resourcePersistencePath: settings.storePath,
    workers: [
      {
        ...workerOptions,
        name: "kabar",
        modules: [{ type: "ESModule", path: "worker.mjs", contents: bundle }],
        bindings: {
          ...(workerOptions.bindings as Record<string, string>),
          ...settings.vars,
          [SOCKET_ADDRESS_BINDING]: settings.socket.host,
          [FRONT_SECRET_BINDING]: frontSecret,
        },
        unsafeDirectSockets: [settings.socket],
      },
    ],
  });
}

function runCron(miniflare: Miniflare): void {
  setInterval(() => {
    miniflare
      .getWorker()
      .then((worker) => worker.scheduled({ cron: "* * * * *" }))
      .catch((error: unknown) =>
        logLine({ level: "error", message: `cron failed: ${String(error)}` }),
      );
  }, CRON_INTERVAL_MS).unref();
}

/** As a deploy does: the running Worker ends with all its sockets, one with another bundle starts on the same store. */
function takeOrders(
  miniflare: Miniflare,
  redeployed: () => ReturnType<typeof miniflareOptions>,
): void {
  process.on("message", (message: unknown) => {
    if (!edgeOrder.safeParse(message).success) return;
    void miniflare
      .setOptions(redeployed())
      .then(() => report({ t: "ready", migrationsApplied: 0 }))
      .catch((error: unknown) => report({ t: "failed", sentence: sentenceOf(error) }));
  });
}

/** Miniflare's scratch files: in the store, so that a killed process leaves nothing elsewhere. */
function useTemporaryFolder(path: string): void {
  rmSync(path, { recursive: true, force: true });
  mkdirSync(path, { recursive: true });
  process.env["TMPDIR"] = path;
}

async function run(settings: EdgeSettings): Promise<void> {
  useTemporaryFolder(join(settings.storePath, "tmp"));
  holdLifeline(settings.storePath);
  const source = await sourceFor(settings);
  const frontSecret = randomHex(systemRandomBytes, 16);
  const miniflare = new Miniflare(miniflareOptions(settings, source, frontSecret));
  const end = (): void => {
    void miniflare.dispose().finally(() => process.exit(0));
  };
  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    // Miniflare's own would leave before workerd is gone.
    process.removeAllListeners(signal);
    process.once(signal, end);
  }
  let deploys = 0;
  takeOrders(miniflare, () => {
    deploys += 1;
    const bundle = `${source.bundle}\n// ${deploys}`;
    return miniflareOptions(settings, { ...source, bundle }, frontSecret);
  });
  const target = await miniflare.unsafeGetDirectURL();
  const migrationsApplied = await applyMigrations(miniflare, source.migrations);
  if (settings.cron) runCron(miniflare);
  if (settings.front !== null) await startFront({ ...settings.front, target, secret: frontSecret });
  report({ t: "ready", migrationsApplied });
}

/** The first line of an error, without a path or a stack. */
function sentenceOf(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return text.split("\n").slice(0, 2).join(" ").slice(0, MESSAGE_CHARACTERS_MAX);
}

try {
  await run(edgeSettings.parse(JSON.parse(process.env[EDGE_SETTINGS_VARIABLE] ?? "null")));
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.stack : String(error)}\n`);
  report({ t: "failed", sentence: `The Worker did not start: ${sentenceOf(error)}` });
  process.exitCode = 1;
  process.disconnect?.();
  setTimeout(() => process.exit(1), 500);
}
