/**
 * The Worker's store as a thief or a clock sees it: which files hold given bytes, journals and free pages included, and
 * all the times in the objects moved back while the Worker is down. Knows no table.
 */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";

/** Letters at either end that base64 mixes with what stands beside. */
const BASE64_EDGE = 4;

/** Files in which a text stands: as it is, url-encoded, or in base64 wherever it begins. */
export function filesWith(storePath: string, text: string): string[] {
  const inBase64 = ["", "x", "xx"].map((before) =>
    Buffer.from(before + text)
      .toString("base64")
      .slice(BASE64_EDGE, -BASE64_EDGE),
  );
  const spellings = [text, encodeURIComponent(text), ...inBase64];
  return filesBelow(storePath).filter((path) => {
    const bytes = readFileSync(path);
    return spellings.some((spelling) => bytes.includes(spelling));
  });
}

/** As if so much time had passed: every time that an object has stored lies that much further back. */
export function moveTimesBack(storePath: string, byMs: number): void {
  const objects = filesBelow(join(storePath, "do")).filter(
    (path) => path.endsWith(".sqlite") && !path.endsWith("metadata.sqlite"),
  );
  for (const path of objects) {
    const database = new DatabaseSync(path);
    try {
      for (const { table, column } of timesIn(database)) {
        database.exec(
          `UPDATE ${table} SET ${column} = ${column} - ${byMs} WHERE ${column} > ${byMs}`,
        );
      }
    } finally {
      database.close();
    }
  }
}

function timesIn(database: DatabaseSync): { table: string; column: string }[] {
  const sql = `
    SELECT m.name AS "table", c.name AS "column"
    FROM sqlite_master m JOIN pragma_table_info(m.name) c
    WHERE m.type = 'table' AND c.name LIKE '%\\_ms' ESCAPE '\\'
      AND c.name NOT IN ('texts_kept_ms', 'duration_ms')`;
  return database
    .prepare(sql)
    .all()
    .map((row) => ({ table: String(row["table"]), column: String(row["column"]) }));
}

function filesBelow(path: string): string[] {
  return readdirSync(path, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
}
