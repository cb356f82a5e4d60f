/**
 * The Restore object: one for the whole gateway. Keeps what the operator wants while the books are set back in time,
 * where a restore of D1 cannot reach it, and tells every device, again and again until each has done it. Touches
 * neither messages nor money: devices know those. Works only in its alarm, bounded in time and number a run.
 */
import { DurableObject } from "cloudflare:workers";
import { deviceClient, type DeviceClient } from "../device/client.ts";
import { devicesAfter, newestAccountId, takeAccountIdsUpTo } from "../directory/restored-books.ts";
import { systemClock } from "../domain/clock.ts";
import { randomFraction, systemRandomBytes } from "../domain/id.ts";
import { errorFields, logAlert, logInfo, logWarning } from "../domain/log.ts";
import { err, ok, type Result } from "../domain/result.ts";
import { Agenda } from "../object/agenda.ts";
import { migrate } from "../object/migrate.ts";
import { DeviceList } from "./device-list.ts";
import type { KnownDevice, RestoreRefusal, RestoreRpc, RestoreView } from "./interface.ts";
import { STEPS } from "./migrations.ts";

/** The runtime allows six open connections at a time. */
const PARALLEL = 5;
const ASKED_A_RUN_MAX = 500;
const RUN_MS = 5_000;
const LISTED_A_CALL = 1_000;
/** New devices must hear of a hold as well. */
const LIST_AGAIN_MS = 60_000;
/** Devices deleted longer ago hold nothing that the books may have forgotten. */
const DELETED_SINCE_MS = 40 * 24 * 3_600_000;
/** A device that has yet to tell the books is asked how far it is. */
const PROGRESS_MS = 1_000;
const RETRY_MIN_MS = 1_000;
const RETRY_MAX_MS = 60_000;
const ALERT_EACH_MS = 3_600_000;

interface State extends Record<string, SqlStorageValue> {
  generation: number;
  held_since_ms: number | null;
  restoring: number;
  listed_up_to: string | null;
  list_ms: number | null;
  newest_account: number;
  take_account: number;
  alerted_ms: number | null;
}

export class Restore extends DurableObject<Cloudflare.Env> implements RestoreRpc {
  readonly #sql: SqlStorage;
  readonly #agenda: Agenda;
  readonly #devices: DeviceList;
  readonly #client: DeviceClient;

  constructor(ctx: DurableObjectState, env: Cloudflare.Env) {
    super(ctx, env);
    migrate(ctx.storage, STEPS);
    this.#sql = ctx.storage.sql;
    this.#agenda = new Agenda(ctx.storage);
    this.#devices = new DeviceList(this.#sql);
    this.#client = deviceClient(env.DEVICES);
    void ctx.blockConcurrencyWhile(async () => {
      await this.#agenda.load();
      await this.#agenda.armBy(this.#nextMs());
    });
  }

  async view(): Promise<RestoreView> {
    return this.#view();
  }

  async forgotten(deviceId: string): Promise<KnownDevice | null> {
    return this.#devices.forgotten(deviceId, this.#state().generation);
  }

  async hold(): Promise<RestoreView> {
    const nowMs = systemClock();
    if (this.#state().held_since_ms === null) {
      logInfo("hand-over is held");
      this.#patch({ held_since_ms: nowMs, alerted_ms: nowMs });
      this.#devices.askAll(nowMs);
      this.#listAgain(nowMs);
    }
    await this.#agenda.armBy(this.#nextMs());
    return this.#view();
  }

  async raise(): Promise<Result<RestoreView, RestoreRefusal>> {
    const state = this.#state();
    if (state.held_since_ms === null) return err({ reason: "not_held" });
    const nowMs = systemClock();
    const generation = state.generation + 1;
    logInfo("books generation raised", { generation });
    this.#patch({ generation, restoring: 1, take_account: 1 });
    this.#devices.tellAll();
    this.#devices.askAll(nowMs);
    this.#listAgain(nowMs);
    await this.#agenda.armBy(this.#nextMs());
    return ok(this.#view());
  }

  async release(force: boolean): Promise<Result<RestoreView, RestoreRefusal>> {
    const state = this.#state();
    if (state.held_since_ms === null) return err({ reason: "not_held" });
    const { isListing, devices } = this.#view();
    const isThrough = !isListing && devices.untold + devices.telling === 0;
    // Without a restore there is nothing to wait for: a device that never heard of the hold need not.
    if (state.restoring === 1 && !isThrough && !force) return err({ reason: "not_through" });
    const nowMs = systemClock();
    logInfo("hand-over goes on", { generation: state.generation, force });
    this.#patch({ held_since_ms: null, restoring: 0, alerted_ms: null });
    this.#devices.askAll(nowMs);
    this.#listAgain(nowMs);
    await this.#agenda.armBy(this.#nextMs());
    return ok(this.#view());
  }

  override async alarm(): Promise<void> {
    await this.#agenda.begin(systemClock());
    this.#remind(systemClock());
    try {
      await this.#list();
    } catch (error) {
      logWarning("devices of the books not listed", errorFields(error));
      this.#patch({ list_ms: systemClock() + RETRY_MIN_MS });
    }
    await this.#askDevices();
    this.#forgetWhenDone();
    await this.#agenda.finish(this.#nextMs(), systemClock());
  }

  #view(): RestoreView {
    const { generation, held_since_ms: heldSinceMs, listed_up_to: upTo } = this.#state();
    return {
      heldSinceMs,
      generation,
      isListing: upTo !== null,
      devices: this.#devices.counts(generation),
      troubled: this.#devices.troubled(),
    };
  }

  #listAgain(nowMs: number): void {
    this.#patch({ listed_up_to: "", list_ms: nowMs });
  }

  /** One page of the books' devices after the other; before that, what the books must be asked once. */
  async #list(): Promise<void> {
    const nowMs = systemClock();
    const { list_ms: dueMs } = this.#state();
    if (dueMs === null || dueMs > nowMs) return;
    if (this.#state().take_account === 1) {
      await takeAccountIdsUpTo(this.env.DB, this.#state().newest_account, nowMs);
      this.#patch({ take_account: 0 });
    }
    const newest = await newestAccountId(this.env.DB);
    this.#patch({ newest_account: Math.max(newest, this.#state().newest_account) });
    if (this.#state().listed_up_to === null) this.#patch({ listed_up_to: "" });
    for (let upTo = this.#state().listed_up_to; upTo !== null;) {
      const { generation } = this.#state();
      const page = await devicesAfter(this.env.DB, upTo, nowMs - DELETED_SINCE_MS, LISTED_A_CALL);
      // Something else may be wanted by now, and the listing have begun anew.
      const state = this.#state();
      if (state.generation !== generation || state.listed_up_to !== upTo) return;
      this.#devices.seen(page, { generation, mustTell: state.restoring === 1 }, nowMs);
      upTo = page.length < LISTED_A_CALL ? null : (page.at(-1)?.deviceId ?? null);
      this.#patch({ listed_up_to: upTo });
    }
    this.#patch({ list_ms: this.#state().held_since_ms === null ? null : nowMs + LIST_AGAIN_MS });
  }

  async #askDevices(): Promise<void> {
    const startedMs = systemClock();
    const queue = this.#devices.due(startedMs, ASKED_A_RUN_MAX).values();
    const worker = async (): Promise<void> => {
      for (const deviceId of queue) {
        if (systemClock() - startedMs >= RUN_MS) return;
        await this.#ask(deviceId);
      }
    };
    await Promise.all(Array.from({ length: PARALLEL }, worker));
  }

  async #ask(deviceId: string): Promise<void> {
    const { generation, held_since_ms: heldSinceMs } = this.#state();
    const wish = {
      generation: this.#devices.mustTell(deviceId) ? generation : null,
      heldSinceMs,
    };
    try {
      const answer = await this.#client.books(deviceId, wish);
      // Something else may be wanted by now: then the answer is to an old question.
      const now = this.#state();
      if (now.generation !== generation || now.held_since_ms !== heldSinceMs) return;
      // A blank object has never had anything.
      const { left, obstacle } = answer.ok ? answer.value : { left: null, obstacle: null };
      const nextTryMs = left === null ? null : systemClock() + PROGRESS_MS;
      this.#devices.answered(deviceId, { left, obstacle }, nextTryMs);
    } catch (error) {
      const failures = this.#devices.failed(deviceId);
      const fullMs = Math.min(RETRY_MAX_MS, RETRY_MIN_MS * 2 ** Math.min(failures - 1, 20));
      const waitMs = fullMs * (0.5 + randomFraction(systemRandomBytes) / 2);
      this.#devices.tryAt(deviceId, systemClock() + Math.ceil(waitMs));
      logWarning("device not told of the restore", { deviceId, failures, ...errorFields(error) });
    }
  }

  /** Somebody may have forgotten that nothing is sent. */
  #remind(nowMs: number): void {
    const { held_since_ms: heldSinceMs, alerted_ms: alertedMs } = this.#state();
    if (heldSinceMs === null || nowMs - (alertedMs ?? 0) < ALERT_EACH_MS) return;
    logAlert("hand-over is held", { minutes: Math.floor((nowMs - heldSinceMs) / 60_000) });
    this.#patch({ alerted_ms: nowMs });
  }

  #forgetWhenDone(): void {
    const { held_since_ms: heldSinceMs, list_ms: listMs } = this.#state();
    if (heldSinceMs !== null || listMs !== null) return;
    if (this.#devices.nextTryMs() === null) this.#devices.clear();
  }

  #nextMs(): number | null {
    const { held_since_ms: heldSinceMs, list_ms: listMs, alerted_ms: alertedMs } = this.#state();
    const remindMs = heldSinceMs === null ? null : (alertedMs ?? heldSinceMs) + ALERT_EACH_MS;
    const times = [listMs, remindMs, this.#devices.nextTryMs()].filter((atMs) => atMs !== null);
    return times.length === 0 ? null : Math.min(...times);
  }

  #patch(patch: Partial<State>): void {
    const names = Object.keys(patch);
    this.#sql.exec(
      `UPDATE state SET ${names.map((name) => `${name} = ?`).join(", ")}`,
      ...names.map((name) => patch[name] ?? null),
    );
  }

  #state(): State {
    return this.#sql
      .exec<State>(
        `SELECT generation, held_since_ms, restoring, listed_up_to, list_ms, newest_account, take_account, alerted_ms
         FROM state`,
      )
      .one();
  }
}
