/**
 * What the process that runs the Worker needs of the project: the bundle, everything that wrangler.toml says, and the
 * migrations cut into statements. Plain data, so that one reading may serve many starts. Runs nothing.
 */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import {
  unstable_getMiniflareWorkerOptions as workerOptionsOf,
  unstable_readConfig as readWranglerConfig,
  unstable_splitSqlQuery as splitSqlQuery,
} from "wrangler";
import { bundleWorker } from "./edge-bundle.ts";
import type { DatabaseMigrations } from "./edge-migrations.ts";

const PROJECT_PATH = resolve(import.meta.dirname, "../..");

export interface EdgeSource {
  /** Bindings, dates and flags as wrangler.toml has them. */
  workerOptions: ReturnType<typeof workerOptionsOf>["workerOptions"];
  bundle: string;
  migrations: DatabaseMigrations[];
}

/** Both paths are relative to the project. Throws esbuild's or wrangler's message about what does not build. */
export async function readEdgeSource(
  configPath: string,
  entryPath: string | null,
): Promise<EdgeSource> {
  const config = resolve(PROJECT_PATH, configPath);
  const { workerOptions, main } = workerOptionsOf(config);
  const entry = entryPath ?? main;
  if (entry === undefined) throw new Error(`${configPath} names no main file`);
  return {
    workerOptions,
    bundle: await bundleWorker(PROJECT_PATH, resolve(PROJECT_PATH, entry)),
    migrations: migrationsOf(config),
  };
}

function migrationsOf(configPath: string): DatabaseMigrations[] {
  const found: DatabaseMigrations[] = [];
  for (const database of readWranglerConfig({ config: configPath }).d1_databases) {
    const folder = resolve(dirname(configPath), database.migrations_dir ?? "migrations");
    const names = existsSync(folder) ? readdirSync(folder) : [];
    const files = names
      .filter((name) => name.endsWith(".sql"))
      .toSorted()
      .map((name) => ({
        name,
        statements: splitSqlQuery(readFileSync(join(folder, name), "utf8")),
      }));
    found.push({ binding: database.binding, files });
  }
  return found;
}
