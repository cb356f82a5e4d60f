/**
 * The Tombstones object: one for the whole gateway, asked only when D1 fails and by the cron. Bounded in rows; they go
 * when no row of D1 can be that old and still carry a text. Decides nothing.
 */
import { DurableObject } from "cloudflare:workers";
import { systemClock } from "../domain/clock.ts";
import { invariant } from "../domain/result.ts";
import { Agenda } from "../object/agenda.ts";
import { migrate } from "../object/migrate.ts";
import type { Tombstone, TombstonesRpc } from "./interface.ts";

/** Longer than the cron looks for texts that a device may not have. */
const KEPT_MS = 5 * 24 * 3_600_000;
/** An outage of half an hour at a hundred refused messages a second, and some. */
const ROWS_MAX = 250_000;
const CALL_MAX = 1_000;
const FORGET_EACH_MS = 3_600_000;
const PORTION_MAX = 5_000;

const STEPS: readonly string[] = [
  `
  CREATE TABLE tombstones (
    id INTEGER NOT NULL,
    nonce TEXT NOT NULL,
    at_ms INTEGER NOT NULL,
    PRIMARY KEY (id, nonce)
  ) WITHOUT ROWID;
  `,
];

export class Tombstones extends DurableObject<Cloudflare.Env> implements TombstonesRpc {
  readonly #agenda: Agenda;
  #rows: number;

  constructor(ctx: DurableObjectState, env: Cloudflare.Env) {
    super(ctx, env);
    migrate(ctx.storage, STEPS);
    this.#agenda = new Agenda(ctx.storage);
    this.#rows = this.#count();
    void ctx.blockConcurrencyWhile(async () => this.#agenda.load());
  }

  async bury(tombstones: Tombstone[]): Promise<void> {
    invariant(tombstones.length <= CALL_MAX, "a call buries a bounded number");
    if (this.#rows + tombstones.length > ROWS_MAX) throw new Error("no room for more tombstones");
    const nowMs = systemClock();
    this.ctx.storage.transactionSync(() => {
      for (const { id, nonce } of tombstones) {
        this.ctx.storage.sql.exec(
          "INSERT INTO tombstones (id, nonce, at_ms) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
          id,
          nonce,
          nowMs,
        );
      }
    });
    this.#rows += tombstones.length;
    await this.#agenda.armBy(nowMs + FORGET_EACH_MS);
  }

  async find(messages: Tombstone[]): Promise<number[]> {
    invariant(messages.length <= CALL_MAX, "a call asks for a bounded number");
    return this.ctx.storage.sql
      .exec<{ id: number }>(
        `SELECT t.id FROM json_each(?) m
           CROSS JOIN tombstones t ON t.id = m.value ->> 'id' AND t.nonce = m.value ->> 'nonce'`,
        JSON.stringify(messages),
      )
      .toArray()
      .map(({ id }) => id);
  }

  override async alarm(): Promise<void> {
    const nowMs = systemClock();
    await this.#agenda.begin(nowMs);
    const deleted = this.ctx.storage.sql.exec(
      `DELETE FROM tombstones WHERE (id, nonce) IN (
         SELECT id, nonce FROM tombstones WHERE at_ms <= ? LIMIT ${PORTION_MAX})`,
      nowMs - KEPT_MS,
    ).rowsWritten;
    this.#rows = this.#count();
    const isMore = deleted >= PORTION_MAX;
    const nextMs = this.#rows === 0 ? null : isMore ? nowMs : nowMs + FORGET_EACH_MS;
    await this.#agenda.finish(nextMs, nowMs);
  }

  #count(): number {
    return this.ctx.storage.sql.exec<{ n: number }>("SELECT count(*) AS n FROM tombstones").one().n;
  }
}
