/**
 * What the Worker has stored, read by SQL of the test's own from the SQLite files of workerd: D1 and the objects of
 * the devices. Reads only, and through nothing of the product.
 */
import { createDecipheriv, hkdfSync } from "node:crypto";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import type { SQLInputValue, SQLOutputValue } from "node:sqlite";

export type StoredRow = Record<string, SQLOutputValue>;

const D1 = "d1/miniflare-D1DatabaseObject";
const DEVICES = "do/kabar-Device";
const ENDPOINTS = "do/kabar-Endpoint";

const FOLDS = `
SELECT 'account ' || a.id AS what FROM accounts a
WHERE a.available <> (SELECT coalesce(sum(iif(credit = 'available', amount, 0) - iif(debit = 'available', amount, 0)), 0)
    FROM transfers t WHERE t.account_id = a.id)
  OR a.held <> (SELECT coalesce(sum(iif(credit = 'held', amount, 0) - iif(debit = 'held', amount, 0)), 0)
    FROM transfers t WHERE t.account_id = a.id)
UNION ALL
SELECT 'period ' || p.id FROM package_periods p
WHERE p.used <> (SELECT count(*) FILTER (WHERE kind = 'hold') - count(*) FILTER (WHERE kind = 'void')
  FROM transfers t WHERE t.period_id = p.id)
UNION ALL
SELECT 'message ' || m.id FROM messages m
WHERE (SELECT count(*) FROM transfers t WHERE t.ref = 'message:' || m.id AND t.leg = 'hold') <> 1
  OR (m.status <> 'pending')
    <> (SELECT count(*) FROM transfers t WHERE t.ref = 'message:' || m.id AND t.leg = 'end')`;

export class Stored {
  readonly #storePath: string;

  readonly #bodyKey: string;

  /** `bodyKey`: the Worker's, which texts are sealed with. */
  constructor(storePath: string, bodyKey: string) {
    this.#storePath = storePath;
    this.#bodyKey = bodyKey;
  }

  /** Rows of D1. */
  books(sql: string, ...values: SQLInputValue[]): StoredRow[] {
    return this.#files(D1).flatMap((file) => query(file, sql, values));
  }

  /** Rows of the object of the device with this waid. */
  device(waid: string, sql: string, ...values: SQLInputValue[]): StoredRow[] {
    const file = this.#files(DEVICES).find((one) => isDevice(one, waid));
    return file === undefined ? [] : query(file, sql, values);
  }

  /** Rows of the object of the webhook with this id. */
  endpoint(id: string, sql: string, ...values: SQLInputValue[]): StoredRow[] {
    const file = this.#files(ENDPOINTS).find((one) => isEndpoint(one, id));
    return file === undefined ? [] : query(file, sql, values);
  }

  /** Rows of the objects of these endpoints; one that forgot everything has no tables. */
  endpoints(ids: readonly string[], sql: string): StoredRow[] {
    const hasTables = "SELECT 1 FROM sqlite_master WHERE name = 'endpoint'";
    const own = "SELECT 1 FROM endpoint WHERE endpoint_id IN (SELECT value FROM json_each(?))";
    return this.#files(ENDPOINTS)
      .filter((file) => query(file, hasTables, []).length > 0)
      .filter((file) => query(file, own, [JSON.stringify(ids)]).length > 0)
      .flatMap((file) => query(file, sql, []));
  }

  /** Texts from a sender as they lie there, opened by the documented rule. */
  inbound(waid: string, sender: string): { id: string; body: string }[] {
    const [device] = this.device(waid, "SELECT device_id AS id FROM device");
    const rows = this.device(
      waid,
      "SELECT wa_id AS id, body FROM inbound WHERE sender = ?",
      sender,
    );
    return rows.map(({ id, body }) => ({
      id: String(id),
      body: unsealed(this.#bodyKey, String(device?.["id"]), `inbound ${String(id)}`, body),
    }));
  }

  /** The money line of a message, in the order of its kinds: "hold 200", "settle 200". */
  money(messageId: number): string[] {
    return this.books(
      "SELECT kind || ' ' || amount AS line FROM transfers WHERE ref = ? ORDER BY leg = 'hold' DESC, leg",
      `message:${messageId}`,
    ).map((row) => String(row["line"]));
  }

  /** The fold of an account's transfers. */
  available(accountId: number): number {
    const [row] = this.books(
      `SELECT sum(iif(credit = 'available', amount, -amount)) AS rupiah FROM transfers
       WHERE account_id = ? AND 'available' IN (debit, credit)`,
      accountId,
    );
    return Number(row?.["rupiah"] ?? 0);
  }

  /** Cached figures that differ from the fold of transfers; messages without exactly one hold and one end. */
  differences(): string[] {
    return this.books(FOLDS).map((row) => String(row["what"]));
  }

  #files(folder: string): string[] {
    const path = join(this.#storePath, folder);
    return readdirSync(path)
      .filter((name) => name.endsWith(".sqlite") && name !== "metadata.sqlite")
      .map((name) => join(path, name));
  }
}

/** AES-256-GCM: 12 bytes of nonce, the text, 16 bytes of tag; the purpose beside it; the key by HKDF for the device. */
function unsealed(secret: string, deviceId: string, purpose: string, sealed: unknown): string {
  if (!(sealed instanceof Uint8Array)) throw new Error("a stored text is not sealed");
  const salt = Buffer.from(deviceId);
  const info = Buffer.from("kabar device text v1");
  const key = hkdfSync("sha256", Buffer.from(secret, "base64"), salt, info, 32);
  const decipher = createDecipheriv("aes-256-gcm", Buffer.from(key), sealed.subarray(0, 12));
  decipher.setAAD(Buffer.from(purpose));
  decipher.setAuthTag(sealed.subarray(-16));
  return Buffer.concat([decipher.update(sealed.subarray(12, -16)), decipher.final()]).toString();
}

function isDevice(file: string, waid: string): boolean {
  const tables = query(file, "SELECT 1 FROM sqlite_master WHERE name = 'device'", []);
  return tables.length > 0 && query(file, "SELECT 1 FROM device WHERE waid = ?", [waid]).length > 0;
}

function isEndpoint(file: string, id: string): boolean {
  const tables = query(file, "SELECT 1 FROM sqlite_master WHERE name = 'endpoint'", []);
  if (tables.length === 0) return false;
  return query(file, "SELECT 1 FROM endpoint WHERE endpoint_id = ?", [id]).length > 0;
}

function query(file: string, sql: string, values: SQLInputValue[]): StoredRow[] {
  const database = new DatabaseSync(file, { readOnly: true, timeout: 2_000 });
  try {
    return database.prepare(sql).all(...values);
  } finally {
    database.close();
  }
}
