/** How the hashes of all keys begin: enough to tell what can be no key of ours from what may be one. Read only. */
import { askD1 } from "../db/ask.ts";

/** Hex digits of each. */
export const NAME_LENGTH = 8;
/** The newest; one row of 0.8 MB. */
const KEYS_MAX = 100_000;

const READ = `
SELECT coalesce(group_concat(name, ''), '') AS names FROM (
  SELECT substr(k.hash, 1, ${NAME_LENGTH}) AS name FROM api_keys k ORDER BY k.id DESC LIMIT ${KEYS_MAX})`;

/** One text of all names, each as long as the other. */
export async function readKeyNames(db: D1Database): Promise<string> {
  const row = await askD1("read_key_names", () => db.prepare(READ).first<{ names: string }>());
  return row?.names ?? "";
}
