/**
 * The Alerts object: one for the whole gateway. Keeps what a person must look at until somebody acknowledged it, and
 * tells the configured sinks, again and again. Raises no alert itself: what goes wrong here is a warning in the log
 * and shown to whoever lists the alerts.
 */
import { DurableObject } from "cloudflare:workers";
import { readConfig } from "../config.ts";
import { systemClock } from "../domain/clock.ts";
import { systemRandomBytes } from "../domain/id.ts";
import { errorFields, logWarning } from "../domain/log.ts";
import { Agenda } from "../object/agenda.ts";
import { migrate } from "../object/migrate.ts";
import { mailerFor } from "../outgoing/mailer.ts";
import { AlertTable } from "./alert-table.ts";
import { Courier } from "./courier.ts";
import type { AlertsRpc, AlertsView, RaisedAlert } from "./interface.ts";
import { STEPS } from "./migrations.ts";
import { mailSink, webhookSink } from "./sinks.ts";

/** Of one call: callers send their alerts one by one or a few at a time. */
const RAISED_MAX = 100;
/** How long one alarm waits for the sinks. */
const ALARM_PATIENCE_MS = 5_000;

export class Alerts extends DurableObject<Cloudflare.Env> implements AlertsRpc {
  readonly #agenda: Agenda;
  readonly #table: AlertTable;
  readonly #couriers: readonly Courier[];

  constructor(ctx: DurableObjectState, env: Cloudflare.Env) {
    super(ctx, env);
    migrate(ctx.storage, STEPS);
    const { sql } = ctx.storage;
    const config = readConfig(env);
    const alerts = new AlertTable(sql);
    const common = { sql, alerts, random: systemRandomBytes };
    const mailer = mailerFor(env.EMAIL, config, systemClock);
    this.#table = alerts;
    this.#couriers = [
      new Courier({ ...common, channel: "webhook", deliver: webhookSink(config, systemClock) }),
      new Courier({ ...common, channel: "mail", deliver: mailSink(config, mailer) }),
    ];
    this.#agenda = new Agenda(ctx.storage);
    void ctx.blockConcurrencyWhile(async () => {
      await this.#agenda.load();
      await this.#agenda.armBy(this.#nextMs());
    });
  }

  async raise(raised: RaisedAlert[]): Promise<void> {
    const nowMs = systemClock();
    this.ctx.storage.transactionSync(() => {
      for (const alert of raised.slice(0, RAISED_MAX)) this.#table.raise(alert, nowMs);
    });
    await this.#afterEvent();
  }

  async list(which: "open" | "all"): Promise<AlertsView> {
    return { ...this.#table.list(which), channels: this.#couriers.map((one) => one.view()) };
  }

  async acknowledge(ids: number[] | null): Promise<number> {
    const count = this.#table.acknowledge(ids, systemClock());
    await this.#agenda.armBy(this.#nextMs());
    return count;
  }

  override async alarm(): Promise<void> {
    await this.#agenda.begin(systemClock());
    this.#table.forget(systemClock());
    await this.#withoutWaitingLong(this.#tell());
    await this.#agenda.finish(this.#nextMs(), systemClock());
  }

  async #tell(): Promise<void> {
    await Promise.all(this.#couriers.map((courier) => courier.run(systemClock)));
  }

  /** Tells at once what may be told at once. */
  async #afterEvent(): Promise<void> {
    const nowMs = systemClock();
    if (this.#couriers.some((courier) => courier.isDue(nowMs))) {
      this.#background(this.#tell().then(async () => this.#agenda.armBy(this.#nextMs())));
    }
    await this.#agenda.armBy(this.#nextMs());
  }

  #nextMs(): number | null {
    const times = [
      this.#table.nextForgetMs(),
      ...this.#couriers.map((courier) => courier.nextMs()),
    ].filter((atMs) => atMs !== null);
    return times.length === 0 ? null : Math.min(...times);
  }

  async #withoutWaitingLong(work: Promise<void>): Promise<void> {
    let timer: ReturnType<typeof setTimeout> | null = null;
    const patience = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, ALARM_PATIENCE_MS);
    });
    this.#background(work.then(async () => this.#agenda.armBy(this.#nextMs())));
    await Promise.race([work, patience]);
    clearTimeout(timer);
  }

  #background(work: Promise<void>): void {
    this.ctx.waitUntil(
      work.catch((error: unknown) => {
        logWarning("telling of alerts failed", errorFields(error));
      }),
    );
  }
}
