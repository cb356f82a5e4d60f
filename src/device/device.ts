/**
 * The Durable Object of one phone. Holds the entry points and nothing else: what they do is in the parts beside
 * this file. A blank object refuses everything but `install` and writes nothing.
 */
import { DurableObject } from "cloudflare:workers";
import { systemClock } from "../domain/clock.ts";
import { systemRandomBytes } from "../domain/id.ts";
import type { Result } from "../domain/result.ts";
import { err, ok } from "../domain/result.ts";
import { Agenda } from "./agenda.ts";
import { checkBalanceWindow } from "./balance-window.ts";
import { createIdentity } from "./identity.ts";
import type {
  BalanceCheckVerdict,
  BooksView,
  BooksWish,
  DeviceIdentity,
  DeviceRefusal,
  DeviceRpc,
  DeviceSettings,
  DeviceView,
  EnqueueVerdict,
  EventsPage,
  InboundPage,
  MessageToEnqueue,
  MessageView,
  QueueView,
} from "./interface.ts";
import { hasRemoteJobs, nextJobMs, runLocalJobs, runRemoteJobs } from "./jobs.ts";
import { errorFields, logAlert } from "../domain/log.ts";
import { hasTables, migrate } from "./migrations.ts";
import type { Parts } from "./parts.ts";
import { buildParts } from "./parts.ts";
import { viewQueue } from "./queue-view.ts";
import { countSealKeys } from "./seal-keys.ts";
import { drawSecret } from "./secrets.ts";
import { applySettings } from "./settings.ts";
import { upgrade } from "./upgrade.ts";

/** How long one alarm waits for D1 and the Fleet. */
const ALARM_PATIENCE_MS = 2_000;

export class Device extends DurableObject<Cloudflare.Env> implements DeviceRpc {
  readonly #agenda: Agenda;
  #parts: Parts | null = null;

  constructor(ctx: DurableObjectState, env: Cloudflare.Env) {
    super(ctx, env);
    this.#agenda = new Agenda(ctx.storage);
    if (!hasTables(ctx.storage.sql)) return;
    migrate(ctx.storage);
    const parts = this.#build();
    const nowMs = systemClock();
    parts.flush.resume(nowMs);
    if (parts.bridge.current(parts.identity.state.epoch) === null) parts.wish.bridgeLost(nowMs);
    void ctx.blockConcurrencyWhile(async () => {
      await this.#agenda.load();
      await this.#agenda.armBy(nextJobMs(parts, nowMs));
    });
  }

  async install(identity: DeviceIdentity): Promise<Result<DeviceView, DeviceRefusal>> {
    if (this.#parts === null) {
      if (!this.ctx.id.equals(this.env.DEVICES.idFromName(identity.deviceId))) {
        return err({ reason: "foreign" });
      }
      this.ctx.storage.transactionSync(() => {
        migrate(this.ctx.storage);
        createIdentity(this.ctx.storage.sql, identity);
      });
      this.#build();
    }
    return this.view(identity);
  }

  async enqueue(
    identity: DeviceIdentity,
    messages: MessageToEnqueue[],
  ): Promise<Result<EnqueueVerdict[], DeviceRefusal>> {
    return this.#do(identity, (parts, nowMs) => ok(parts.messages.enqueue(messages, nowMs)));
  }

  async abandon(
    identity: DeviceIdentity,
    ids: number[],
    nonce?: string,
  ): Promise<Result<null, DeviceRefusal>> {
    return this.#do(identity, (parts, nowMs) => {
      parts.messages.abandon(ids, nonce ?? null, nowMs);
      return ok(null);
    });
  }

  async cancel(
    identity: DeviceIdentity,
    ids: number[],
    by: "customer" | "operator",
  ): Promise<Result<EnqueueVerdict[], DeviceRefusal>> {
    return this.#do(identity, (parts, nowMs) => ok(parts.messages.cancel(ids, by, nowMs)));
  }

  async view(identity: DeviceIdentity): Promise<Result<DeviceView, DeviceRefusal>> {
    return this.#doOpen(identity, (parts, nowMs) => ok(parts.identity.view(nowMs)));
  }

  async pair(
    identity: DeviceIdentity,
    phone: string | null,
  ): Promise<Result<DeviceView, DeviceRefusal>> {
    return this.#doOpen(identity, (parts, nowMs) => {
      const started = parts.pairing.start(phone, nowMs);
      if (!started.ok) return started;
      if (parts.bridge.current(parts.identity.state.epoch) === null) parts.wish.askNow(nowMs);
      return ok(parts.identity.view(nowMs));
    });
  }

  async unpair(identity: DeviceIdentity): Promise<Result<DeviceView, DeviceRefusal>> {
    return this.#doOpen(identity, (parts, nowMs) => {
      const ended = parts.pairing.unpair(nowMs);
      return ended.ok ? ok(parts.identity.view(nowMs)) : ended;
    });
  }

  async resume(identity: DeviceIdentity): Promise<Result<DeviceView, DeviceRefusal>> {
    return this.#doOpen(identity, (parts, nowMs) => {
      const resumed = parts.pausing.resume(nowMs);
      return resumed.ok ? ok(parts.identity.view(nowMs)) : resumed;
    });
  }

  async message(
    identity: DeviceIdentity,
    id: number,
  ): Promise<Result<MessageView | null, DeviceRefusal>> {
    return this.#do(identity, (parts, nowMs) => ok(parts.messages.view(id, nowMs)));
  }

  async messages(
    identity: DeviceIdentity,
    ids: number[],
  ): Promise<Result<MessageView[], DeviceRefusal>> {
    return this.#do(identity, (parts, nowMs) =>
      ok(ids.map((id) => parts.messages.view(id, nowMs)).filter((view) => view !== null)),
    );
  }

  async queueView(
    identity: DeviceIdentity,
    countMax: number,
  ): Promise<Result<QueueView, DeviceRefusal>> {
    return this.#doOpen(identity, (parts, nowMs) => ok(viewQueue(parts, countMax, nowMs)));
  }

  async waiting(
    identity: DeviceIdentity,
    afterId: number,
    countMax: number,
  ): Promise<Result<number[], DeviceRefusal>> {
    return this.#doOpen(identity, ({ outbox }) =>
      ok(outbox.waitingAfter(afterId, countMax).map((row) => row.id)),
    );
  }

  async close(identity: DeviceIdentity): Promise<Result<null, DeviceRefusal>> {
    return this.#do(identity, (parts, nowMs) => {
      parts.pairing.close(nowMs);
      return ok(null);
    });
  }

  async configure(
    identity: DeviceIdentity,
    settings: DeviceSettings,
  ): Promise<Result<{ revision: number }, DeviceRefusal>> {
    return this.#do(identity, (parts, nowMs) => ok(applySettings(parts, settings, nowMs)));
  }

  async events(
    identity: DeviceIdentity,
    afterN: number,
    countMax: number,
  ): Promise<Result<EventsPage, DeviceRefusal>> {
    return this.#do(identity, ({ events }, nowMs) => ok(events.page(afterN, countMax, nowMs)));
  }

  async inbound(
    identity: DeviceIdentity,
    beforeN: number | null,
    countMax: number,
  ): Promise<Result<InboundPage, DeviceRefusal>> {
    return this.#do(identity, ({ inbound }) => ok(inbound.page(beforeN, countMax)));
  }

  async checkBalanceWindow(
    identity: DeviceIdentity,
    keyId: number,
  ): Promise<Result<BalanceCheckVerdict, DeviceRefusal>> {
    return this.#doOpen(identity, (parts, nowMs) =>
      ok(checkBalanceWindow(parts.sql, keyId, nowMs)),
    );
  }

  async mintTicket(request: {
    placementId: number;
    hostId: string;
    bootId: string;
  }): Promise<Result<{ ticket: string; epoch: number }, DeviceRefusal>> {
    const { secret, hash } = await drawSecret(systemRandomBytes);
    return this.#do(null, (parts, nowMs) => {
      // The Fleet missed that no host is wanted any more.
      if (!parts.wish.isWanted) parts.identity.patch({ releaseDue: 1 });
      return ok({ ticket: secret, epoch: parts.epochs.mint(request, hash, nowMs) });
    });
  }

  async dismiss(hostId: string): Promise<Result<null, DeviceRefusal>> {
    return this.#do(null, (parts, nowMs) => {
      const { epochs, bridge, identity } = parts;
      if (epochs.row(identity.state.epoch)?.hostId === hostId) {
        parts.closeEpoch("new_epoch", nowMs);
      }
      epochs.forgetHost(hostId);
      bridge.closeAllOf(hostId);
      return ok(null);
    });
  }

  async books(wish: BooksWish): Promise<Result<BooksView, DeviceRefusal>> {
    return this.#do(null, (parts, nowMs) => {
      parts.repost.wish(wish);
      parts.handOver.pump(nowMs);
      return ok(parts.repost.view());
    });
  }

  async sealKeys(): Promise<Result<Record<string, number>, DeviceRefusal>> {
    return this.#parts === null ? err({ reason: "blank" }) : ok(countSealKeys(this.#parts.sql));
  }

  async poke(): Promise<Result<null, DeviceRefusal>> {
    await this.#agenda.load();
    return this.#do(null, (parts, nowMs) => {
      runLocalJobs(parts, nowMs);
      return ok(null);
    });
  }

  override async fetch(request: Request): Promise<Response> {
    if (this.#parts === null) return new Response("no such device", { status: 403 });
    const response = await upgrade(request, this.#parts, systemClock);
    await this.#afterEvent();
    return response;
  }

  override async alarm(info?: AlarmInvocationInfo): Promise<void> {
    const parts = this.#parts;
    if (parts === null) return;
    await this.#agenda.begin(info?.isRetry ?? false, systemClock());
    runLocalJobs(parts, systemClock());
    await this.#withoutWaitingLong(runRemoteJobs(parts, systemClock, "alarm"));
    await this.#agenda.finish(nextJobMs(parts, systemClock()), systemClock());
  }

  override async webSocketMessage(socket: WebSocket, raw: string | ArrayBuffer): Promise<void> {
    if (this.#parts === null) return;
    await this.#parts.frames.receive(socket, raw, systemClock());
    await this.#afterEvent();
  }

  override async webSocketClose(socket: WebSocket, code: number): Promise<void> {
    // Codes that may not be sent back are reserved for closes nobody said.
    this.#parts?.bridge.close(socket, code === 1005 || code === 1006 ? 1000 : code, "");
    await this.#bridgeGone();
  }

  override async webSocketError(): Promise<void> {
    await this.#bridgeGone();
  }

  async #bridgeGone(): Promise<void> {
    const parts = this.#parts;
    if (parts === null) return;
    if (parts.bridge.current(parts.identity.state.epoch) === null) {
      parts.wish.bridgeLost(systemClock());
    }
    await this.#afterEvent();
  }

  #build(): Parts {
    this.#parts = buildParts({
      ctx: this.ctx,
      env: this.env,
      clock: systemClock,
      random: systemRandomBytes,
      background: (work) => this.#background(work),
    });
    return this.#parts;
  }

  /** One call: refuse or act, all in one transaction, then see what that brings due. */
  async #do<T>(
    identity: DeviceIdentity | null,
    act: (parts: Parts, nowMs: number) => Result<T, DeviceRefusal>,
  ): Promise<Result<T, DeviceRefusal>> {
    const parts = this.#parts;
    if (parts === null) return err({ reason: "blank" });
    const refusal = identity === null ? null : parts.identity.refusalOf(identity);
    if (refusal !== null) return err(refusal);
    const outcome: { result: Result<T, DeviceRefusal> | null } = { result: null };
    parts.transaction(() => {
      const nowMs = systemClock();
      outcome.result = act(parts, nowMs);
      parts.news.run(nowMs);
    });
    await this.#afterEvent();
    return outcome.result ?? err({ reason: "blank" });
  }

  /** The same for what a deleted device does no more. */
  async #doOpen<T>(
    identity: DeviceIdentity | null,
    act: (parts: Parts, nowMs: number) => Result<T, DeviceRefusal>,
  ): Promise<Result<T, DeviceRefusal>> {
    return this.#do(identity, (parts, nowMs) =>
      parts.identity.state.closedMs === null ? act(parts, nowMs) : err({ reason: "closed" }),
    );
  }

  /** Starts what became due by an event, and makes sure that the rest will be. */
  async #afterEvent(): Promise<void> {
    const parts = this.#parts;
    if (parts === null) return;
    const nowMs = systemClock();
    if (parts.news.isDue(nowMs)) parts.transaction(() => parts.news.run(nowMs));
    if (hasRemoteJobs(parts, nowMs)) {
      this.#background(runRemoteJobs(parts, systemClock, "due").then(async () => this.#arm()));
    }
    await this.#arm();
  }

  /** A silent D1 must not keep the phone waiting: after a moment the work goes on beside the alarms. */
  async #withoutWaitingLong(work: Promise<void>): Promise<void> {
    let timer: ReturnType<typeof setTimeout> | null = null;
    const patience = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, ALARM_PATIENCE_MS);
    });
    this.#background(work.then(async () => this.#arm()));
    await Promise.race([work, patience]);
    clearTimeout(timer);
  }

  async #arm(): Promise<void> {
    if (this.#parts !== null) await this.#agenda.armBy(nextJobMs(this.#parts, systemClock()));
  }

  #background(work: Promise<void>): void {
    const watched = work.catch((error: unknown) => {
      logAlert("background work failed", errorFields(error));
    });
    this.ctx.waitUntil(watched);
  }
}
