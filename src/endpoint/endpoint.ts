/**
 * The Durable Object of one webhook. Holds the entry points and nothing else: what they do is in the parts beside this
 * file. A blank or closed object refuses everything but `install` and `close`, and writes nothing.
 */
import { DurableObject } from "cloudflare:workers";
import { systemClock } from "../domain/clock.ts";
import { randomHex, systemRandomBytes } from "../domain/id.ts";
import { errorFields, logAlert } from "../domain/log.ts";
import type { Result } from "../domain/result.ts";
import { err, invariant, ok } from "../domain/result.ts";
import { checkWebhookUrl } from "../domain/webhook-url.ts";
import { Agenda } from "./agenda.ts";
import type {
  AttemptView,
  DeadLetterView,
  DeliveryBatch,
  DeliveryReceipt,
  DeliveryRefusal,
  EndpointIdentity,
  EndpointRefusal,
  EndpointRpc,
  EndpointSettings,
  EndpointView,
  Page,
  ReplayReceipt,
  ReplayScope,
  SettingsRefusal,
} from "./interface.ts";
import { FORGOTTEN_PER_CALL_MAX } from "./interface.ts";
import { hasTables, migrate } from "./migrations.ts";
import type { Parts } from "./parts.ts";
import { buildParts, gatewayUrlRules } from "./parts.ts";
import { createRecord } from "./record.ts";
import { deadLetters, replay } from "./replay.ts";
import { drawSecret } from "../outgoing/signature.ts";

/** How long one alarm waits for receivers and D1; the work goes on beside the next. */
const ALARM_PATIENCE_MS = 2_000;

export class Endpoint extends DurableObject<Cloudflare.Env> implements EndpointRpc {
  readonly #agenda: Agenda;
  #parts: Parts | null = null;

  constructor(ctx: DurableObjectState, env: Cloudflare.Env) {
    super(ctx, env);
    this.#agenda = new Agenda(ctx.storage);
    if (!hasTables(ctx.storage.sql)) return;
    migrate(ctx.storage);
    const parts = this.#build();
    const nowMs = systemClock();
    parts.transaction(() => parts.dispatch.takeBackLost(nowMs));
    void ctx.blockConcurrencyWhile(async () => {
      await this.#agenda.load();
      await this.#agenda.armBy(nextMs(parts, nowMs));
    });
  }

  async install(
    who: EndpointIdentity,
    settings: EndpointSettings,
  ): Promise<Result<{ view: EndpointView; secret: string | null }, SettingsRefusal>> {
    const known = this.#parts;
    if (known !== null) {
      const refusal = known.record.refusalOf(who);
      if (refusal !== null) return err(refusal);
      return ok({ view: known.record.view(systemClock()), secret: null });
    }
    if (!this.#isNamed(who)) return err({ reason: "foreign" });
    const checked = this.#checked(settings);
    if (!checked.ok) return checked;
    const secret = drawSecret(systemRandomBytes);
    this.ctx.storage.transactionSync(() => {
      migrate(this.ctx.storage);
      createRecord(this.ctx.storage.sql, who, checked.value, secret);
    });
    return ok({ view: this.#build().record.view(systemClock()), secret });
  }

  async configure(
    who: EndpointIdentity,
    settings: EndpointSettings,
  ): Promise<Result<EndpointView, SettingsRefusal>> {
    return this.#do<EndpointView, SettingsRefusal>(who, ({ record }, nowMs) => {
      const checked = this.#checked(settings);
      if (!checked.ok) return checked;
      record.configure(checked.value, nowMs);
      return ok(record.view(nowMs));
    });
  }

  async rotateSecret(
    who: EndpointIdentity,
  ): Promise<Result<{ secret: string; formerSecretUntilMs: number }, EndpointRefusal>> {
    return this.#do(who, ({ record }, nowMs) => ok(record.rotateSecret(systemRandomBytes, nowMs)));
  }

  async view(who: EndpointIdentity): Promise<Result<EndpointView, EndpointRefusal>> {
    return this.#do(who, ({ record }, nowMs) => ok(record.view(nowMs)));
  }

  async deliver(
    who: EndpointIdentity,
    batch: DeliveryBatch,
  ): Promise<Result<DeliveryReceipt, DeliveryRefusal>> {
    const known = this.#known(who);
    if (!known.ok) return known;
    const read = await known.value.intake.read(batch);
    if (!read.ok) return read;
    return this.#do<DeliveryReceipt, DeliveryRefusal>(who, (parts, nowMs) => {
      parts.retention.expectWork(nowMs);
      return parts.intake.take(read.value, nowMs);
    });
  }

  async sendTest(who: EndpointIdentity): Promise<Result<{ eventId: string }, EndpointRefusal>> {
    const known = this.#known(who);
    if (!known.ok) return known;
    const eventId = `evt_${randomHex(systemRandomBytes, 16)}`;
    const sealed = await known.value.intake.seal({
      id: eventId,
      type: "endpoint.test",
      atMs: systemClock(),
      // A test waits for no other test.
      orderKey: `test:${eventId}`,
      data: { endpoint: who.endpointId },
    });
    return this.#do(who, (parts, nowMs) => {
      parts.retention.expectWork(nowMs);
      parts.intake.takeOwn(sealed, nowMs);
      return ok({ eventId });
    });
  }

  async replay(
    who: EndpointIdentity,
    scope: ReplayScope,
    cursor: number | null,
  ): Promise<Result<ReplayReceipt, EndpointRefusal>> {
    return this.#do(who, ({ sql, queue, intake }, nowMs) =>
      ok(replay(sql, queue, { scope, cursor, room: intake.room }, nowMs)),
    );
  }

  async attempts(
    who: EndpointIdentity,
    cursor: number | null,
  ): Promise<Result<Page<AttemptView>, EndpointRefusal>> {
    const known = this.#known(who);
    return known.ok ? ok(await known.value.log.page(cursor)) : known;
  }

  async deadLetters(
    who: EndpointIdentity,
    cursor: number | null,
  ): Promise<Result<Page<DeadLetterView>, EndpointRefusal>> {
    return this.#do(who, ({ sql }) => ok(deadLetters(sql, cursor)));
  }

  async forget(
    who: EndpointIdentity,
    eventIds: readonly string[],
  ): Promise<Result<null, EndpointRefusal>> {
    invariant(
      eventIds.length <= FORGOTTEN_PER_CALL_MAX,
      "a call forgets a bounded number of events",
    );
    return this.#do(who, ({ retention }, nowMs) => {
      retention.forget(eventIds, nowMs);
      return ok(null);
    });
  }

  async close(who: EndpointIdentity): Promise<Result<null, { reason: "foreign" }>> {
    if (this.#parts === null) return this.#isNamed(who) ? ok(null) : err({ reason: "foreign" });
    if (this.#parts.record.refusalOf(who) !== null) return err({ reason: "foreign" });
    this.#parts.dispatch.abort();
    this.#parts = null;
    await this.#agenda.clear();
    await this.ctx.storage.deleteAll();
    return ok(null);
  }

  async poke(who: EndpointIdentity): Promise<Result<null, EndpointRefusal>> {
    await this.#agenda.load();
    return this.#do(who, (parts, nowMs) => {
      runLocalJobs(parts, nowMs);
      return ok(null);
    });
  }

  override async alarm(): Promise<void> {
    const parts = this.#parts;
    if (parts === null) return;
    await this.#agenda.begin(systemClock());
    parts.transaction(() => runLocalJobs(parts, systemClock()));
    parts.dispatch.pump();
    const work = Promise.all([parts.notices.run(systemClock), parts.dispatch.idle()]);
    await this.#withoutWaitingLong(work.then(() => undefined));
    if (this.#parts === null) return;
    await this.#agenda.finish(nextMs(parts, systemClock()), systemClock());
  }

  #build(): Parts {
    this.#parts = buildParts({
      ctx: this.ctx,
      env: this.env,
      clock: systemClock,
      random: systemRandomBytes,
      background: (work) => this.#background(work),
      onSettled: async () => this.#afterEvent(),
    });
    return this.#parts;
  }

  #isNamed({ endpointId }: EndpointIdentity): boolean {
    return this.ctx.id.equals(this.env.ENDPOINTS.idFromName(endpointId));
  }

  #checked(settings: EndpointSettings): Result<EndpointSettings, SettingsRefusal> {
    const { url, allowHttp } = settings;
    const checked = checkWebhookUrl(url, { ...gatewayUrlRules(this.env), allowHttp });
    return checked.ok
      ? ok({ ...settings, url: checked.value })
      : err({ reason: "url_refused", sentence: checked.error });
  }

  /** The parts, for a caller who names this endpoint and its account. */
  #known(who: EndpointIdentity): Result<Parts, EndpointRefusal> {
    if (this.#parts === null) return err({ reason: "blank" });
    const refusal = this.#parts.record.refusalOf(who);
    return refusal === null ? ok(this.#parts) : err(refusal);
  }

  /** One call: refuse or act, all in one transaction, then see what that brings due. */
  async #do<T, E>(
    who: EndpointIdentity,
    act: (parts: Parts, nowMs: number) => Result<T, E | EndpointRefusal>,
  ): Promise<Result<T, E | EndpointRefusal>> {
    const known = this.#known(who);
    if (!known.ok) return known;
    const parts = known.value;
    const result = parts.transaction(() => act(parts, systemClock()));
    parts.dispatch.pump();
    await this.#afterEvent();
    return result;
  }

  /** Starts what became due by an event, and makes sure that the rest will be. */
  async #afterEvent(): Promise<void> {
    const parts = this.#parts;
    if (parts === null) return;
    const nowMs = systemClock();
    if (parts.notices.isDue(nowMs)) {
      this.#background(parts.notices.run(systemClock).then(async () => this.#arm()));
    }
    await this.#arm();
  }

  async #arm(): Promise<void> {
    if (this.#parts !== null) await this.#agenda.armBy(nextMs(this.#parts, systemClock()));
  }

  async #withoutWaitingLong(work: Promise<void>): Promise<void> {
    let timer: ReturnType<typeof setTimeout> | null = null;
    const patience = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, ALARM_PATIENCE_MS);
    });
    this.#background(work.then(async () => this.#arm()));
    await Promise.race([work, patience]);
    clearTimeout(timer);
  }

  #background(work: Promise<void>): void {
    const watched = work.catch((error: unknown) => {
      logAlert("background work failed", errorFields(error));
    });
    this.ctx.waitUntil(watched);
  }
}

/** Everything that needs no call to the outside; within a transaction. */
function runLocalJobs(parts: Parts, nowMs: number): void {
  parts.dispatch.takeBackLost(nowMs);
  parts.retention.run(nowMs);
}

/** The earliest due time of all work, overdue ones included; null when only an event can bring work. */
function nextMs(parts: Parts, nowMs: number): number | null {
  const times = [
    parts.dispatch.nextMs(nowMs),
    parts.retention.nextMs(),
    parts.notices.nextMs(nowMs),
  ].filter((atMs) => atMs !== null);
  return times.length === 0 ? null : Math.min(...times);
}
