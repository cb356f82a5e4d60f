/**
 * The Worker under test, with counters at the seam that every call passes and at the databases: D1's own count of
 * rows written, and that of each cursor and alarm of a Device object. It re-exports the real Worker and the real
 * objects and adds one route, `/bench/counts`: GET reads, POST starts anew. It changes nothing of what is counted.
 */
import { AsyncLocalStorage } from "node:async_hooks";
import { Device as RealDevice } from "../../src/device/device.ts";
import { setSaboteur } from "../../src/domain/crossing.ts";
import worker from "../../src/index.ts";
import type { Counts } from "./counts-report.ts";

export { Alerts } from "../../src/alerts/alerts.ts";
export { Tombstones } from "../../src/tombstones/tombstones.ts";
export { Restore } from "../../src/restore/restore.ts";
export { Endpoint } from "../../src/endpoint/endpoint.ts";
export { Fleet } from "../../src/fleet/fleet.ts";

const crossings = new Map<string, number>();
const cursors: { readonly rowsWritten: number }[] = [];
const statements = new WeakMap<object, string>();
const d1Rows = new Map<string, number>();
let alarms = 0;

/** Which call through the seam a batch belongs to. */
const nameOfCall = new AsyncLocalStorage<string>();

setSaboteur((crossing, call) => {
  const name = `${crossing.kind} ${crossing.name}`;
  crossings.set(name, (crossings.get(name) ?? 0) + 1);
  return nameOfCall.run(name, call);
});

type Written = { meta: { rows_written?: number } };

function countD1(results: readonly Written[]): void {
  const name = nameOfCall.getStore() ?? "d1 outside the seam";
  for (const { meta } of results) {
    d1Rows.set(name, (d1Rows.get(name) ?? 0) + (meta.rows_written ?? 0));
  }
}

const patched = new WeakSet<object>();

function countWritesOf(db: D1Database): void {
  if (patched.has(db)) return;
  patched.add(db);
  const batch = db.batch.bind(db);
  db.batch = async <T>(list: D1PreparedStatement[]) => {
    const results = await batch<T>(list);
    countD1(results);
    return results;
  };
  const shape = Object.getPrototypeOf(db.prepare("SELECT 1")) as D1PreparedStatement;
  if (patched.has(shape)) return;
  patched.add(shape);
  type Run = <T>(this: D1PreparedStatement) => Promise<D1Result<T>>;
  const run: Run = Reflect.get<D1PreparedStatement, "run">(shape, "run");
  shape.run = async function <T>(this: D1PreparedStatement) {
    const result = await run.call<D1PreparedStatement, [], Promise<D1Result<T>>>(this);
    countD1([result]);
    return result;
  };
}

export class Device extends RealDevice {
  constructor(ctx: DurableObjectState, env: Cloudflare.Env) {
    const { storage } = ctx;
    const exec = storage.sql.exec.bind(storage.sql);
    storage.sql.exec = (<T extends Record<string, SqlStorageValue>>(
      query: string,
      ...values: SqlStorageValue[]
    ) => {
      const cursor = exec<T>(query, ...values);
      cursors.push(cursor);
      statements.set(cursor, query);
      return cursor;
    }) as SqlStorage["exec"];
    const setAlarm = storage.setAlarm.bind(storage);
    storage.setAlarm = async (at, options) => {
      alarms += 1;
      await setAlarm(at, options);
    };
    countWritesOf(env.DB);
    super(ctx, env);
  }
}

/** What the rows went into: the verb and the table of a statement. */
function targetOf(query: string): string {
  return /(?:INSERT INTO|UPDATE|DELETE FROM)\s+\w+/.exec(query)?.[0] ?? "other";
}

function report(): Counts {
  const byStatement: Record<string, number> = {};
  let objectRows = 0;
  for (const cursor of cursors) {
    if (cursor.rowsWritten === 0) continue;
    objectRows += cursor.rowsWritten;
    const target = targetOf(statements.get(cursor) ?? "");
    byStatement[target] = (byStatement[target] ?? 0) + cursor.rowsWritten;
  }
  return {
    crossings: Object.fromEntries(crossings),
    d1Rows: Object.fromEntries(d1Rows),
    objectRows,
    alarms,
    byStatement,
  };
}

function startAnew(): void {
  crossings.clear();
  cursors.length = 0;
  d1Rows.clear();
  alarms = 0;
}

export default {
  fetch: (request, env, context) => {
    countWritesOf(env.DB);
    if (new URL(request.url).pathname !== "/bench/counts") {
      return worker.fetch(request, env, context);
    }
    if (request.method === "POST") startAnew();
    return Response.json(report());
  },
  scheduled: worker.scheduled,
} satisfies ExportedHandler<Cloudflare.Env>;
