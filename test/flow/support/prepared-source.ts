/**
 * Where a stack finds what this test run has prepared: the Worker's source, and a store whose D1 is migrated. Outside
 * of test runs nothing is prepared.
 */
import { cpSync, existsSync } from "node:fs";
import { join } from "node:path";

/** The environment variable that names the folder, for the processes of one test run. */
export const PREPARED_FOLDER_VARIABLE = "KABAR_TEST_SOURCES";
/** The folder in it that a stack begins its store with, once it is there. */
export const PREPARED_STORE = "store";

export function preparedName(configPath: string, entry: string | null): string {
  return `${encodeURIComponent(`${configPath} ${entry ?? ""}`)}.json`;
}

/** The source's file, after the store has got its tables; undefined where nothing is prepared. */
export function takePrepared(
  configPath: string,
  entry: string | null,
  storePath: string,
): string | undefined {
  const folder = process.env[PREPARED_FOLDER_VARIABLE];
  if (folder === undefined) return undefined;
  const path = join(folder, preparedName(configPath, entry));
  if (!existsSync(path)) return undefined;
  const store = join(folder, PREPARED_STORE);
  if (existsSync(store)) cpSync(store, storePath, { recursive: true });
  return path;
}
