/**
 * Brings alerts to one sink. The digest that is on its way is stored as it was written, so that every try says the same
 * under the same id; when a sink stays away for long it is written anew. Ends never: a sink that fails is tried again
 * with backoff for as long as anything is open.
 */
import type { Clock } from "../domain/clock.ts";
import type { RandomBytes } from "../domain/id.ts";
import { randomFraction, randomHex } from "../domain/id.ts";
import { logWarning } from "../domain/log.ts";
import type { AlertTable } from "./alert-table.ts";
import { digestOf, type Digest } from "./digest.ts";
import type { ChannelName, ChannelView } from "./interface.ts";
import { DIGEST_GAP_MS, DIGEST_STALE_MS, retryMs } from "./schedule.ts";

const LOST_AFTER_MS = 60_000;

/** Null: not configured. Answers whether the sink took it; ends by itself. */
export type Deliver = ((digest: Digest) => Promise<boolean>) | null;

export interface CourierParts {
  sql: SqlStorage;
  channel: ChannelName;
  alerts: AlertTable;
  deliver: Deliver;
  random: RandomBytes;
}

interface ChannelRow extends Record<string, SqlStorageValue> {
  told_ms: number | null;
  failing_since_ms: number | null;
  attempts: number;
  next_ms: number;
  digest_ms: number | null;
  digest_alerts: string | null;
  digest: string | null;
}

export class Courier {
  readonly #parts: CourierParts;
  #runningSinceMs: number | null = null;

  constructor(parts: CourierParts) {
    this.#parts = parts;
    parts.sql.exec("INSERT OR IGNORE INTO channels (channel) VALUES (?)", parts.channel);
  }

  view(): ChannelView {
    const { channel, deliver } = this.#parts;
    const { told_ms: toldMs, failing_since_ms: failingSinceMs } = this.#row();
    return { channel, isConfigured: deliver !== null, toldMs, failingSinceMs };
  }

  nextMs(): number | null {
    const { channel, alerts, deliver } = this.#parts;
    if (deliver === null) return null;
    // Should the object die in the middle of a try, something must wake it.
    if (this.#runningSinceMs !== null) return this.#runningSinceMs + LOST_AFTER_MS;
    const row = this.#row();
    if (row.digest !== null) return row.next_ms;
    const dueMs = alerts.nextDueMs(channel);
    return dueMs === null ? null : Math.max(dueMs, this.#mayTellMs(row));
  }

  isDue(nowMs: number): boolean {
    const dueMs = this.#runningSinceMs === null ? this.nextMs() : null;
    return dueMs !== null && dueMs <= nowMs;
  }

  async run(clock: Clock): Promise<void> {
    const { deliver } = this.#parts;
    if (deliver === null) return;
    while (this.isDue(clock())) {
      const nowMs = clock();
      this.#runningSinceMs = nowMs;
      try {
        const written = this.#onItsWay(nowMs) ?? this.#writeDown(nowMs);
        if (written === null) return;
        const isTaken = await deliver(written.digest);
        if (isTaken) this.#taken(written.ids, clock());
        else this.#failed(clock());
      } finally {
        this.#runningSinceMs = null;
      }
    }
  }

  #mayTellMs({ told_ms: toldMs }: ChannelRow): number {
    return toldMs === null ? 0 : toldMs + DIGEST_GAP_MS[this.#parts.channel];
  }

  #onItsWay(nowMs: number): { digest: Digest; ids: number[] } | null {
    const { digest, digest_alerts: ids, digest_ms: writtenMs } = this.#row();
    if (digest === null || ids === null || writtenMs === null) return null;
    if (nowMs - writtenMs > DIGEST_STALE_MS) return null;
    return { digest: JSON.parse(digest) as Digest, ids: JSON.parse(ids) as number[] };
  }

  /** Null when everything was acknowledged meanwhile. */
  #writeDown(nowMs: number): { digest: Digest; ids: number[] } | null {
    const { sql, channel, alerts, random } = this.#parts;
    const due = alerts.due(channel, nowMs);
    if (due.length === 0) {
      this.#clear();
      return null;
    }
    const digest = digestOf(`alert_${randomHex(random, 16)}`, due, nowMs);
    const ids = due.map(({ id }) => id);
    sql.exec(
      `UPDATE channels SET digest_ms = ?2, digest_alerts = ?3, digest = ?4, next_ms = ?2
       WHERE channel = ?1`,
      channel,
      nowMs,
      JSON.stringify(ids),
      JSON.stringify(digest),
    );
    return { digest, ids };
  }

  #taken(ids: readonly number[], nowMs: number): void {
    const { sql, channel, alerts } = this.#parts;
    alerts.told(channel, ids, nowMs);
    this.#clear();
    sql.exec(
      "UPDATE channels SET told_ms = ?2, failing_since_ms = NULL, attempts = 0 WHERE channel = ?1",
      channel,
      nowMs,
    );
  }

  #failed(nowMs: number): void {
    const { sql, channel, random } = this.#parts;
    const failures = this.#row().attempts + 1;
    sql.exec(
      `UPDATE channels SET attempts = ?2, next_ms = ?3, failing_since_ms = coalesce(failing_since_ms, ?4)
       WHERE channel = ?1`,
      channel,
      failures,
      retryMs(failures, nowMs, randomFraction(random)),
      nowMs,
    );
    logWarning("alerts not delivered", { channel, failures });
  }

  #clear(): void {
    this.#parts.sql.exec(
      `UPDATE channels SET digest_ms = NULL, digest_alerts = NULL, digest = NULL
       WHERE channel = ?`,
      this.#parts.channel,
    );
  }

  #row(): ChannelRow {
    return this.#parts.sql
      .exec<ChannelRow>("SELECT * FROM channels WHERE channel = ?", this.#parts.channel)
      .one();
  }
}
