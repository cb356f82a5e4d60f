/**
 * D1 as it stands at one moment, to be put back later: what time travel does to a database on the platform. Works on
 * the SQLite file of workerd; putting back needs a Worker that does not run.
 */
import { copyFileSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";

const FOLDER = "d1/miniflare-D1DatabaseObject";

export class BooksCopy {
  readonly #file: string;
  readonly #copy: string;

  private constructor(file: string, copy: string) {
    this.#file = file;
    this.#copy = copy;
  }

  /** Of a running Worker's store: one consistent state. */
  static take(storePath: string): BooksCopy {
    const folder = join(storePath, FOLDER);
    const [name] = readdirSync(folder).filter(
      (one) => one.endsWith(".sqlite") && one !== "metadata.sqlite",
    );
    if (name === undefined) throw new Error("this store has no D1");
    const file = join(folder, name);
    const copy = join(storePath, `${name}.copy`);
    const database = new DatabaseSync(file, { readOnly: true, timeout: 5_000 });
    try {
      database.prepare("VACUUM INTO ?").run(copy);
    } finally {
      database.close();
    }
    return new BooksCopy(file, copy);
  }

  putBack(): void {
    for (const ending of ["", "-wal", "-shm"]) rmSync(`${this.#file}${ending}`, { force: true });
    copyFileSync(this.#copy, this.#file);
  }
}
