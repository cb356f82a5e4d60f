/**
 * News that no single change makes: how the phone stands, once that has lasted, and messages that still wait a minute
 * after they were accepted. What was told last is stored, so a restart neither repeats nor loses any.
 */
import type { Events } from "./events.ts";
import type { Identity } from "./identity.ts";
import type { DeviceStatus } from "./interface.ts";
import { OPEN_WAITING, waitingReason, type MessageRow } from "./message-row.ts";
import type { Outbox } from "./outbox.ts";

/** A short loss of the bridge is not worth telling. */
const DISCONNECTED_AFTER_MS = 15_000;
const WAITING_AFTER_MS = 60_000;
/** From one look at all that waits to the next. */
const WAITING_INTERVAL_MS = 10_000;
/** Told in one go; more than one request can bring, which are all of one moment. */
const WAITING_PORTION = 1_000;
const NEXT_PORTION_MS = 500;

export class DeviceNews {
  readonly #identity: Identity;
  readonly #outbox: Outbox;
  readonly #events: Events;
  #lostSinceMs: number | null = null;
  #notBeforeMs = 0;

  constructor(identity: Identity, outbox: Outbox, events: Events) {
    this.#identity = identity;
    this.#outbox = outbox;
    this.#events = events;
  }

  /** Events are kept from here on: what is so now is not news. */
  begin(nowMs: number): void {
    this.#identity.patch({
      toldStatus: this.#identity.state.status,
      toldWaitingMs: nowMs - WAITING_AFTER_MS,
    });
  }

  end(): void {
    this.#identity.patch({ toldStatus: null });
  }

  /** After messages were stored: those that came late have waited long enough already. */
  stored(rows: readonly MessageRow[], nowMs: number): void {
    if (!this.#events.areKept) return;
    for (const { id, acceptedMs } of rows) {
      if (acceptedMs > this.#identity.state.toldWaitingMs) continue;
      const row = this.#outbox.get(id);
      if (row !== null && row.open === OPEN_WAITING) this.#waits(row, nowMs);
    }
  }

  run(nowMs: number): void {
    if (!this.#events.areKept) return;
    this.#watchStatus(nowMs);
    const waitingMs = this.#waitingMs();
    if (waitingMs !== null && waitingMs <= nowMs) this.#tellWaiting(nowMs);
  }

  isDue(nowMs: number): boolean {
    const dueMs = this.nextMs(nowMs);
    return dueMs !== null && dueMs <= nowMs;
  }

  nextMs(nowMs: number): number | null {
    if (!this.#events.areKept) return null;
    const times = [this.#statusMs(nowMs), this.#waitingMs()].filter((atMs) => atMs !== null);
    return times.length === 0 ? null : Math.min(...times);
  }

  #statusMs(nowMs: number): number | null {
    const { status, toldStatus } = this.#identity.state;
    if (status !== "reconnecting") this.#lostSinceMs = null;
    if (status === toldStatus) return null;
    if (status !== "reconnecting") return nowMs;
    if (toldStatus !== "connected") return null;
    this.#lostSinceMs ??= nowMs;
    return this.#lostSinceMs + DISCONNECTED_AFTER_MS;
  }

  #watchStatus(nowMs: number): void {
    const dueMs = this.#statusMs(nowMs);
    if (dueMs === null || dueMs > nowMs) return;
    const { status, toldStatus, phone, pausedReason } = this.#identity.state;
    const news = newsOf(status, toldStatus, pausedReason);
    this.#identity.patch({ toldStatus: status });
    if (news !== null) this.#events.add({ ...news, phone }, nowMs);
  }

  #waitingMs(): number | null {
    const oldestMs = this.#outbox.oldestAcceptedAfter(this.#identity.state.toldWaitingMs);
    return oldestMs === null ? null : Math.max(oldestMs + WAITING_AFTER_MS, this.#notBeforeMs);
  }

  #tellWaiting(nowMs: number): void {
    const { toldWaitingMs } = this.#identity.state;
    const upToMs = nowMs - WAITING_AFTER_MS;
    const rows = this.#outbox.acceptedBetween(toldWaitingMs, upToMs, WAITING_PORTION);
    const isPortion = rows.length === WAITING_PORTION;
    this.#notBeforeMs = nowMs + (isPortion ? NEXT_PORTION_MS : WAITING_INTERVAL_MS);
    // A portion ends between two moments: those of its last one may go on beyond it.
    const lastMs = rows.at(-1)?.acceptedMs ?? upToMs;
    const told = isPortion ? rows.filter(({ acceptedMs }) => acceptedMs < lastMs) : rows;
    const whole = told.length > 0 || !isPortion ? told : this.#allOf(lastMs);
    for (const row of whole) this.#waits(row, nowMs);
    this.#identity.patch({
      toldWaitingMs: isPortion ? (whole.at(-1)?.acceptedMs ?? lastMs) : upToMs,
    });
  }

  #allOf(acceptedMs: number): MessageRow[] {
    return this.#outbox.acceptedBetween(acceptedMs - 1, acceptedMs, Number.MAX_SAFE_INTEGER);
  }

  #waits(row: MessageRow, nowMs: number): void {
    if (row.id < 0) return;
    this.#events.add(
      {
        type: "message.pending",
        ref: row.id,
        reason: waitingReason(row, this.#identity.state.status, nowMs),
        untilMs: row.nextMs > nowMs ? row.nextMs : row.expiresMs,
      },
      nowMs,
    );
  }
}

function newsOf(status: DeviceStatus, before: DeviceStatus | null, pausedReason: string | null) {
  const wasLinked = before === "connected" || before === "reconnecting" || before === "paused";
  switch (status) {
    case "connected":
      return { type: "device.connected" as const };
    case "reconnecting":
      return { type: "device.disconnected" as const };
    case "paused":
      return { type: "device.paused" as const, reason: pausedReason };
    case "logged_out":
      return { type: "device.logged_out" as const };
    case "banned":
      return { type: "device.logged_out" as const, reason: "banned" };
    case "unpaired":
      return wasLinked ? { type: "device.logged_out" as const, reason: "unpaired" } : null;
    case "pairing":
      return null;
    default:
      return status satisfies never;
  }
}
