/**
 * The SQL storage of a Durable Object on Node's own SQLite, with what a crash takes away: everything written since the
 * last sync. As much of the interface as the product uses.
 */
import { DatabaseSync, type StatementSync } from "node:sqlite";

type Value = ArrayBuffer | string | number | null;
type Row = Record<string, Value>;

class Cursor {
  readonly rowsWritten: number;
  readonly #rows: Row[];

  constructor(rows: Row[], rowsWritten: number) {
    this.#rows = rows;
    this.rowsWritten = rowsWritten;
  }

  toArray(): Row[] {
    return this.#rows;
  }

  one(): Row {
    const [row] = this.#rows;
    if (row === undefined || this.#rows.length > 1) throw new Error("one row expected");
    return row;
  }

  [Symbol.iterator](): Iterator<Row> {
    return this.#rows.values();
  }
}

export class SimSql {
  readonly #db = new DatabaseSync(":memory:");
  readonly #statements = new Map<string, StatementSync>();
  #depth = 0;

  constructor() {
    this.#db.exec("BEGIN");
  }

  exec(query: string, ...values: Value[]): Cursor {
    // Several statements at once come from migrations only.
    if (values.length === 0 && query.includes(";")) {
      this.#db.exec(query);
      return new Cursor([], 0);
    }
    const statement = this.#prepared(query);
    const bound = values.map((value) =>
      value instanceof ArrayBuffer ? new Uint8Array(value) : value,
    );
    if (statement.columns().length === 0) {
      return new Cursor([], Number(statement.run(...bound).changes));
    }
    return new Cursor(statement.all(...bound).map(plainRow), 0);
  }

  /** For those who look on. */
  rows<T>(query: string, ...values: Value[]): T[] {
    return this.exec(query, ...values).toArray() as unknown[] as T[];
  }

  transactionSync<T>(work: () => T): T {
    const name = `t${this.#depth}`;
    this.#depth += 1;
    this.#db.exec(`SAVEPOINT ${name}`);
    try {
      const result = work();
      this.#db.exec(`RELEASE ${name}`);
      return result;
    } catch (error) {
      this.#db.exec(`ROLLBACK TO ${name}; RELEASE ${name}`);
      throw error;
    } finally {
      this.#depth -= 1;
    }
  }

  makeDurable(): void {
    this.#db.exec("COMMIT; BEGIN");
  }

  loseUnsynced(): void {
    this.#db.exec("ROLLBACK; BEGIN");
  }

  close(): void {
    this.#db.close();
  }

  #prepared(query: string): StatementSync {
    const known = this.#statements.get(query);
    if (known !== undefined) return known;
    const statement = this.#db.prepare(query);
    this.#statements.set(query, statement);
    return statement;
  }
}

function plainRow(row: Record<string, unknown>): Row {
  return Object.fromEntries(
    Object.entries(row).map(([name, value]) => [
      name,
      value instanceof Uint8Array ? new Uint8Array(value).buffer : (value as Value),
    ]),
  );
}
