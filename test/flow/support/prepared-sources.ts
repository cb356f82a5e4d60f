/**
 * Reads the Worker's source and migrates a D1 once for all stacks of a test run: every start of a Worker would bundle
 * it again, load the tools for that, and build the same tables, two seconds each. Sources that are not named here are
 * read where they are used. That a start migrates is tested where `npm start` is.
 */
import { cp, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readEdgeSource } from "../../../session-host/local/edge-source.ts";
import { PREPARED_FOLDER_VARIABLE, PREPARED_STORE, preparedName } from "./prepared-source.ts";
import { startStack } from "./stack.ts";

const CONFIG = "wrangler.toml";
const ENTRIES = [null, "test/flow/support/sabotage-worker.ts", "test/flow/support/clock-worker.ts"];
/** Where Miniflare keeps D1 in a store. */
const D1_FOLDER = "d1";

/** Vitest's global set-up; answers what ends it. */
export async function setup(): Promise<() => Promise<void>> {
  const folder = await mkdtemp(join(tmpdir(), "kabar-sources-"));
  const sources = await Promise.all(ENTRIES.map((entry) => readEdgeSource(CONFIG, entry)));
  for (const [at, entry] of ENTRIES.entries()) {
    await writeFile(join(folder, preparedName(CONFIG, entry)), JSON.stringify(sources[at]));
  }
  process.env[PREPARED_FOLDER_VARIABLE] = folder;
  await keepMigratedStore(folder);
  return () => rm(folder, { recursive: true, force: true });
}

/** The first stack migrates its own, the others begin with a copy. */
async function keepMigratedStore(folder: string): Promise<void> {
  await using stack = await startStack({ hosts: 0 });
  await stack.worker.terminate();
  const store = join(folder, PREPARED_STORE);
  await mkdir(store);
  await cp(join(stack.storePath, D1_FOLDER), join(store, D1_FOLDER), { recursive: true });
}
