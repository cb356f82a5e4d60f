/**
 * Takes events over from their sources: contiguous numbers per source, each taken once, a gap refused as a whole. What
 * the endpoint does not want is acknowledged and dropped. Keeps the queue within its bound by moving the oldest to the
 * dead letters. Reading happens before the transaction, taking inside it.
 */
import type { WebhookEvent } from "../domain/event.ts";
import { webhookEvent } from "../domain/event.ts";
import { logAlert } from "../domain/log.ts";
import type { Result } from "../domain/result.ts";
import { err, ok } from "../domain/result.ts";
import { isWanted, mayWant } from "./body.ts";
import type {
  DeliveryBatch,
  DeliveryReceipt,
  DeliveryRefusal,
  EventSource,
  ForgottenEvent,
} from "./interface.ts";
import { EVENTS_PER_CALL_MAX } from "./interface.ts";
import type { Notices } from "./notices.ts";
import type { Queue } from "./queue.ts";
import type { EndpointRecord } from "./record.ts";
import type { TextSeal } from "./text-seal.ts";

export interface QueueBound {
  eventsMax: number;
  bytesMax: number;
}

export interface SealedEvent {
  event: WebhookEvent;
  data: ArrayBuffer;
}

type ReadEntry = SealedEvent | ForgottenEvent | "unwanted" | "malformed";

export interface ReadBatch {
  /** Of the source. */
  name: string;
  events: { sequence: number; entry: ReadEntry }[];
}

export const QUEUE_BOUND: QueueBound = { eventsMax: 100_000, bytesMax: 256 * 1_048_576 };
const OVERFLOW_PORTION = 100;

interface IntakeParts {
  sql: SqlStorage;
  record: EndpointRecord;
  queue: Queue;
  notices: Notices;
  seal: TextSeal;
  bound: QueueBound;
}

export class Intake {
  readonly #sql: SqlStorage;
  readonly #record: EndpointRecord;
  readonly #queue: Queue;
  readonly #notices: Notices;
  readonly #seal: TextSeal;
  readonly #bound: QueueBound;

  constructor({ sql, record, queue, notices, seal, bound }: IntakeParts) {
    this.#sql = sql;
    this.#record = record;
    this.#queue = queue;
    this.#notices = notices;
    this.#seal = seal;
    this.#bound = bound;
  }

  /** Before the transaction: judges and seals what is not known yet. */
  async read({ source, events }: DeliveryBatch): Promise<Result<ReadBatch, DeliveryRefusal>> {
    if (events.length > EVENTS_PER_CALL_MAX) {
      return err({ reason: "too_many_events", max: EVENTS_PER_CALL_MAX });
    }
    const name = sourceName(source);
    const highest = this.#highestOf(name);
    const read = events
      .filter(({ sequence }) => sequence > highest)
      .map(async ({ sequence, event }) => ({
        sequence,
        entry: await this.#readOne(source, event),
      }));
    return ok({ name, events: await Promise.all(read) });
  }

  take({ name, events }: ReadBatch, nowMs: number): Result<DeliveryReceipt, DeliveryRefusal> {
    const highest = this.#highestOf(name);
    const fresh = events.filter(({ sequence }) => sequence > highest);
    if (fresh.some(({ sequence }, index) => sequence !== highest + 1 + index)) {
      return err({ reason: "gap", highest });
    }
    for (const { sequence, entry } of fresh) this.#takeOne(name, sequence, entry, nowMs);
    if (fresh.length > 0) {
      this.#sql.exec(
        `INSERT INTO sources (source, highest) VALUES (?, ?)
         ON CONFLICT (source) DO UPDATE SET highest = excluded.highest`,
        name,
        highest + fresh.length,
      );
      this.#makeRoom(nowMs);
    }
    return ok({ highest: highest + fresh.length });
  }

  /** An event of this object's own. */
  takeOwn({ event, data }: SealedEvent, nowMs: number): void {
    this.#queue.add(event, data, nowMs);
    this.#makeRoom(nowMs);
  }

  async seal(event: WebhookEvent): Promise<SealedEvent> {
    return { event, data: await this.#seal.seal(event.id, JSON.stringify(event.data)) };
  }

  /** How many more may wait. */
  get room(): number {
    return Math.max(0, this.#bound.eventsMax - this.#record.state.waiting);
  }

  async #readOne(source: EventSource, event: WebhookEvent | ForgottenEvent): Promise<ReadEntry> {
    if ("isForgotten" in event) {
      return mayWant(event.type, source, this.#record.settings) ? event : "unwanted";
    }
    const parsed = webhookEvent.safeParse(event);
    if (!parsed.success) return "malformed";
    return isWanted(parsed.data, source, this.#record.settings)
      ? this.seal(parsed.data)
      : "unwanted";
  }

  #takeOne(name: string, sequence: number, entry: ReadEntry, nowMs: number): void {
    if (entry === "unwanted") return;
    if (entry === "malformed") {
      // A newer version of the sender may know types that this one does not; it must not block what follows.
      logAlert("event is malformed", { endpoint: this.#record.state.endpointId, sequence });
      const id = `malformed_${name}_${sequence}`;
      this.#queue.addDead({ id, type: "unknown", atMs: nowMs }, "malformed", nowMs);
    } else if ("isForgotten" in entry) this.#queue.addDead(entry, "forgotten", nowMs);
    else this.#queue.add(entry.event, entry.data, nowMs);
  }

  #makeRoom(nowMs: number): void {
    if (this.#isWithinBound()) return;
    this.#notices.queueFull(nowMs);
    let oldest = this.#queue.oldestWaiting(OVERFLOW_PORTION);
    while (oldest.length > 0) {
      for (const row of oldest) {
        if (this.#isWithinBound()) return;
        this.#queue.bury(row, "queue_full", nowMs);
      }
      oldest = this.#queue.oldestWaiting(OVERFLOW_PORTION);
    }
  }

  #isWithinBound(): boolean {
    const { waiting, waitingBytes } = this.#record.state;
    return waiting <= this.#bound.eventsMax && waitingBytes <= this.#bound.bytesMax;
  }

  #highestOf(name: string): number {
    return (
      this.#sql
        .exec<{ highest: number }>("SELECT highest FROM sources WHERE source = ?", name)
        .toArray()[0]?.highest ?? 0
    );
  }
}

function sourceName(source: EventSource): string {
  return source.kind === "device" ? `device_${source.deviceId}` : "account";
}
