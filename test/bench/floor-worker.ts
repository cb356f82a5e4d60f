/**
 * The floor of the accept path: a bare Worker with one D1 batch and one object call a request, which write the same
 * rows as an accepted send, each by the plainest statement: a message and its index entry, its hold, the account's
 * balance, the quota; in the object a text and its index entry. It refuses to check anything.
 */
import { DurableObject } from "cloudflare:workers";

interface FloorEnv {
  DB: D1Database;
  OBJECTS: DurableObjectNamespace<FloorObject>;
}

const TABLES = [
  "CREATE TABLE messages (id INTEGER PRIMARY KEY, account INTEGER, body TEXT)",
  "CREATE INDEX messages_account ON messages (account, id)",
  "CREATE TABLE transfers (ref TEXT PRIMARY KEY, amount INTEGER) WITHOUT ROWID",
  "CREATE TABLE accounts (id INTEGER PRIMARY KEY, available INTEGER)",
  "CREATE TABLE periods (id INTEGER PRIMARY KEY, used INTEGER)",
  "INSERT INTO accounts VALUES (1, 900000000)",
  "INSERT INTO periods VALUES (1, 0)",
];

const OBJECT_COUNT = 10;

export class FloorObject extends DurableObject<FloorEnv> {
  constructor(ctx: DurableObjectState, env: FloorEnv) {
    super(ctx, env);
    const { sql } = ctx.storage;
    sql.exec("CREATE TABLE IF NOT EXISTS outbox (id INTEGER PRIMARY KEY, due INTEGER, body TEXT)");
    sql.exec("CREATE INDEX IF NOT EXISTS outbox_due ON outbox (due)");
  }

  put(id: number, text: string): number {
    const { sql } = this.ctx.storage;
    return sql.exec("INSERT INTO outbox VALUES (?, ?, ?)", id, Date.now(), text).rowsWritten;
  }
}

let nextId = Math.floor(Math.random() * 2 ** 40);

export default {
  async fetch(request: Request, { DB, OBJECTS }: FloorEnv): Promise<Response> {
    const { text } = await request.json<{ text: string }>();
    if (text === "") {
      await DB.batch(TABLES.map((table) => DB.prepare(table)));
      return Response.json({});
    }
    const id = nextId++;
    const written = await DB.batch([
      DB.prepare("INSERT INTO messages VALUES (?, 1, ?)").bind(id, text),
      DB.prepare("INSERT INTO transfers VALUES (?, 200)").bind(`message:${id}`),
      DB.prepare("UPDATE accounts SET available = available - 200 WHERE id = 1"),
      DB.prepare("UPDATE periods SET used = used + 1 WHERE id = 1"),
    ]);
    // As many objects as the sends it is compared with have devices: what one object stores at once shares a commit.
    const object = OBJECTS.get(OBJECTS.idFromName(`object ${id % OBJECT_COUNT}`));
    const objectRows = await object.put(id, text);
    const d1Rows = written.reduce((sum, { meta }) => sum + meta.rows_written, 0);
    return Response.json({ id, d1Rows, objectRows });
  },
} satisfies ExportedHandler<FloorEnv>;
