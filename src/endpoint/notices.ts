/**
 * What the account must be told about this endpoint: stored with what caused it, written to the account's events in the
 * books until they have it. Which other endpoints hear of it is decided there.
 */
import type { Clock } from "../domain/clock.ts";
import { withDeadline } from "../domain/deadline.ts";
import type { EventOf, WebhookEvent } from "../domain/event.ts";
import { ACCOUNT_ORDER_KEY } from "../domain/event.ts";
import type { RandomBytes } from "../domain/id.ts";
import { randomFraction, randomHex } from "../domain/id.ts";
import { errorFields, logWarning } from "../domain/log.ts";
import type { EndpointRecord } from "./record.ts";

const ATTEMPT_TIMEOUT_MS = 10_000;
const LOST_AFTER_MS = 30_000;
const RETRY_MIN_MS = 1_000;
const RETRY_MAX_MS = 300_000;
const BATCH_MAX = 20;
/** A queue that stays full is news once in this time. */
const QUEUE_FULL_AGAIN_MS = 24 * 3_600_000;

type TroubleData = EventOf<"endpoint.disabled">["data"];

/** Must do nothing for events that the books have already. */
export type RecordAccountEvents = (accountId: number, events: WebhookEvent[]) => Promise<void>;

export class Notices {
  readonly #sql: SqlStorage;
  readonly #record: EndpointRecord;
  readonly #recordEvents: RecordAccountEvents;
  readonly #random: RandomBytes;
  #pending: boolean;
  #failures = 0;
  #notBeforeMs = 0;
  #runningSinceMs: number | null = null;

  constructor(
    sql: SqlStorage,
    record: EndpointRecord,
    recordEvents: RecordAccountEvents,
    random: RandomBytes,
  ) {
    this.#sql = sql;
    this.#record = record;
    this.#recordEvents = recordEvents;
    this.#random = random;
    this.#pending = this.#next().length > 0;
  }

  /** Failing for so long that it will be disabled unless a delivery succeeds. */
  willBeDisabled(nowMs: number): void {
    this.#add("warning", "failing", nowMs);
  }

  isDisabled(reason: "failing" | "gone", nowMs: number): void {
    this.#add("disabled", reason, nowMs);
  }

  queueFull(nowMs: number): void {
    const { queueFullMs } = this.#record.state;
    if (queueFullMs !== null && nowMs - queueFullMs < QUEUE_FULL_AGAIN_MS) return;
    this.#record.patch({ queueFullMs: nowMs });
    this.#add("queue_full", "queue_full", nowMs);
  }

  nextMs(nowMs: number): number | null {
    // Should the object die in the middle of the call, something must wake it.
    if (this.#runningSinceMs !== null) return this.#runningSinceMs + LOST_AFTER_MS;
    return this.#pending ? Math.max(nowMs, this.#notBeforeMs) : null;
  }

  isDue(nowMs: number): boolean {
    return this.#runningSinceMs === null && this.#pending && this.#notBeforeMs <= nowMs;
  }

  async run(clock: Clock): Promise<void> {
    while (this.isDue(clock())) {
      this.#runningSinceMs = clock();
      const rows = this.#next();
      this.#pending = rows.length > 0;
      if (!this.#pending) {
        this.#runningSinceMs = null;
        return;
      }
      try {
        const events = rows.map(({ event }) => JSON.parse(event) as WebhookEvent);
        const { accountId } = this.#record.state;
        await withDeadline(this.#recordEvents(accountId, events), ATTEMPT_TIMEOUT_MS);
        for (const { id } of rows) this.#sql.exec("DELETE FROM notices WHERE id = ?", id);
        this.#failures = 0;
      } catch (error) {
        this.#failures += 1;
        logWarning("notices not recorded", { ...errorFields(error), failures: this.#failures });
        const fullMs = Math.min(RETRY_MAX_MS, RETRY_MIN_MS * 2 ** Math.min(this.#failures - 1, 20));
        this.#notBeforeMs = clock() + Math.ceil(fullMs * (0.5 + randomFraction(this.#random) / 2));
      } finally {
        this.#runningSinceMs = null;
      }
    }
  }

  #next(): { id: string; event: string }[] {
    return this.#sql
      .exec<{ id: string; event: string }>("SELECT id, event FROM notices LIMIT ?", BATCH_MAX)
      .toArray();
  }

  #add(stage: TroubleData["stage"], reason: TroubleData["reason"], nowMs: number): void {
    const { endpointId, failingSinceMs } = this.#record.state;
    const event: EventOf<"endpoint.disabled"> = {
      id: `evt_${randomHex(this.#random, 16)}`,
      type: "endpoint.disabled",
      atMs: nowMs,
      orderKey: ACCOUNT_ORDER_KEY,
      data: {
        endpoint: endpointId,
        url: this.#record.settings.url,
        stage,
        reason,
        failing_since:
          reason === "failing" && failingSinceMs !== null
            ? new Date(failingSinceMs).toISOString()
            : null,
      },
    };
    this.#sql.exec(
      "INSERT INTO notices (id, event) VALUES (?, ?)",
      event.id,
      JSON.stringify(event),
    );
    this.#pending = true;
  }
}
