/**
 * Carries events to the customer's endpoints: for each its own line, numbered without gaps, one call at a time. An event
 * counts as handed over only when the endpoint said so; until then it is sent again, after a pause that grows. How far
 * it got is asked of the endpoint itself after every restart; what it hears twice has the same id. Makes no events.
 */
import type { EventType } from "../domain/event.ts";
import type { RandomBytes } from "../domain/id.ts";
import { randomFraction } from "../domain/id.ts";
import { errorFields, logAlert, logWarning, type LogFields } from "../domain/log.ts";
import { unreachable } from "../domain/result.ts";
import type {
  DeliveryBatch,
  DeliveryReceipt,
  DeliveryRefusal,
  ForgottenEvent,
} from "../endpoint/interface.ts";
import type { Result } from "../domain/result.ts";
import type { RenderedEvent } from "./event-shape.ts";
import type { Events } from "./events.ts";
import type { DeviceSettings } from "./interface.ts";

export const EVENTS_PER_CALL = 200;
/** The longest that a text waits for its sender's number to become known. */
const NUMBER_WAIT_MS = 10_000;
/** So many acknowledgements may be unwritten: after a restart the endpoint hears these events again. */
const UNWRITTEN_MAX = 10;
const LOST_AFTER_MS = 30_000;
const RETRY_MIN_MS = 1_000;
const RETRY_MAX_MS = 300_000;
const ALERT_AFTER_FAILURES = 10;

export type DeliverEvents = (
  endpointId: string,
  events: DeliveryBatch["events"],
) => Promise<Result<DeliveryReceipt, DeliveryRefusal>>;

interface Feed {
  readonly endpointId: string;
  types: readonly EventType[] | null;
  ackedN: number;
  writtenN: number;
  /** The first of those that were given up and of which the endpoint has not heard; the last is `ackedN`. */
  givenUpN: number | null;
  /** The last number the endpoint has; null when it must be asked. */
  sequence: number | null;
  failures: number;
  notBeforeMs: number;
  runningSinceMs: number | null;
}

interface StoredFeed {
  endpointId: string;
  types: string | null;
  ackedN: number;
  givenUpN: number | null;
}

export class Feeds {
  readonly #sql: SqlStorage;
  readonly #events: Events;
  readonly #wroteBefore: (sender: string, beforeMs: number) => boolean;
  readonly #deliver: DeliverEvents;
  readonly #random: RandomBytes;
  #feeds = new Map<string, Feed>();

  constructor(
    sql: SqlStorage,
    events: Events,
    wroteBefore: (sender: string, beforeMs: number) => boolean,
    deliver: DeliverEvents,
    random: RandomBytes,
  ) {
    this.#sql = sql;
    this.#events = events;
    this.#wroteBefore = wroteBefore;
    this.#deliver = deliver;
    this.#random = random;
    this.reload();
  }

  /** Takes the list over: a new endpoint hears what happens from now on. */
  replace(endpoints: DeviceSettings["endpoints"]): void {
    const ids = JSON.stringify(endpoints.map(({ endpointId }) => endpointId));
    this.#sql.exec(
      "DELETE FROM feeds WHERE endpoint_id NOT IN (SELECT value FROM json_each(?))",
      ids,
    );
    for (const { endpointId, types } of endpoints) {
      this.#sql.exec(
        `INSERT INTO feeds (endpoint_id, types, acked_n) VALUES (?1, ?2, ?3)
         ON CONFLICT (endpoint_id) DO UPDATE SET types = excluded.types WHERE types IS NOT excluded.types`,
        endpointId,
        types === null ? null : JSON.stringify(types),
        this.#events.lastN,
      );
    }
    this.reload();
  }

  /** Brings memory in step with the table; calls under way go on. */
  reload(): void {
    const rows = this.#sql
      .exec<StoredFeed & Record<string, SqlStorageValue>>(
        "SELECT endpoint_id AS endpointId, types, acked_n AS ackedN, given_up_n AS givenUpN FROM feeds",
      )
      .toArray();
    const before = this.#feeds;
    this.#feeds = new Map(rows.map((row) => [row.endpointId, feedOf(row, before)]));
  }

  /** Everything up to here is with every endpoint. */
  ackedByAll(): number {
    return Math.min(this.#events.lastN, ...[...this.#feeds.values()].map(({ ackedN }) => ackedN));
  }

  /** These are too many to be kept; the endpoint hears that they were. */
  giveUpTo(n: number): void {
    for (const feed of this.#feeds.values()) {
      if (feed.ackedN >= n) continue;
      feed.givenUpN ??= feed.ackedN + 1;
      feed.ackedN = n;
      this.#write(feed);
    }
  }

  write(): void {
    for (const feed of this.#feeds.values()) this.#write(feed);
  }

  nextMs(nowMs: number): number | null {
    const times = [...this.#feeds.values()].flatMap((feed) => {
      // Should the object die in the middle of a call, something must wake it.
      if (feed.runningSinceMs !== null) return [feed.runningSinceMs + LOST_AFTER_MS];
      return this.#hasWork(feed) ? [Math.max(nowMs, feed.notBeforeMs)] : [];
    });
    return times.length === 0 ? null : Math.min(...times);
  }

  isDue(nowMs: number): boolean {
    return this.#due(nowMs).length > 0;
  }

  async run(clock: () => number): Promise<void> {
    await Promise.all(this.#due(clock()).map(async (feed) => this.#runFeed(feed, clock)));
  }

  #due(nowMs: number): Feed[] {
    return [...this.#feeds.values()].filter(
      (feed) => feed.runningSinceMs === null && feed.notBeforeMs <= nowMs && this.#hasWork(feed),
    );
  }

  #hasWork(feed: Feed): boolean {
    const { lastN } = this.#events;
    if (feed.givenUpN !== null) return true;
    if (feed.ackedN >= lastN) return false;
    if (feed.types === null || this.#events.hasAfter(feed.ackedN, feed.types)) return true;
    feed.ackedN = lastN;
    return false;
  }

  async #runFeed(feed: Feed, clock: () => number): Promise<void> {
    const isFirst = feed.sequence === null;
    try {
      do feed.runningSinceMs = clock();
      while ((await this.#oneCall(feed, clock)) && this.#hasWork(feed));
      if (isFirst || feed.ackedN - feed.writtenN >= UNWRITTEN_MAX) this.#write(feed);
    } catch (error) {
      // It may have been taken, and the same numbers must never name other events.
      feed.sequence = null;
      this.#failed(feed, errorFields(error), clock());
    } finally {
      feed.runningSinceMs = null;
    }
  }

  /** Answers whether there may be more to do at once. */
  async #oneCall(feed: Feed, clock: () => number): Promise<boolean> {
    if (feed.sequence === null) return this.#ask(feed, clock());
    if (feed.givenUpN !== null) return this.#tellGivenUp(feed, feed.givenUpN, clock());
    const portion = this.#sendable(
      this.#events.after(feed.ackedN, feed.types, EVENTS_PER_CALL),
      feed,
      clock(),
    );
    const upTo = portion.at(-1)?.n;
    if (upTo === undefined) return false;
    const first = feed.sequence + 1;
    const events = portion.map(({ event, ...named }, index) => ({
      sequence: first + index,
      event: event ?? forgotten(named),
    }));
    for (const { event } of portion) if (event === null) this.#events.notRendered();
    const { types } = feed;
    const answer = await this.#deliver(feed.endpointId, events);
    if (!answer.ok) return this.#refused(feed, answer.error, clock());
    feed.sequence = answer.value.highest;
    feed.failures = 0;
    // Another choice of types was made meanwhile: what was left out before may be wanted now.
    if (feed.types !== types) return true;
    feed.ackedN = Math.max(feed.ackedN, upTo);
    return true;
  }

  /** One name for all that was given up, which a repetition does not change. */
  async #tellGivenUp(feed: Feed, fromN: number, nowMs: number): Promise<boolean> {
    const upTo = feed.ackedN;
    const id = this.#events.rangeName(fromN, upTo);
    const event = forgotten({ id, type: "unknown", atMs: nowMs });
    const answer = await this.#deliver(feed.endpointId, [
      { sequence: (feed.sequence ?? 0) + 1, event },
    ]);
    if (!answer.ok) return this.#refused(feed, answer.error, nowMs);
    feed.sequence = answer.value.highest;
    feed.failures = 0;
    // More of them may have been given up meanwhile.
    feed.givenUpN = feed.ackedN > upTo ? upTo + 1 : null;
    this.#write(feed);
    return true;
  }

  /** Up to the first text whose number may still become known. */
  #sendable(portion: RenderedEvent[], feed: Feed, nowMs: number): RenderedEvent[] {
    const waits = portion.findIndex(({ namelessSince }) => {
      if (namelessSince === null) return false;
      const { sender, atMs } = namelessSince;
      return nowMs < atMs + NUMBER_WAIT_MS && !this.#wroteBefore(sender, atMs - NUMBER_WAIT_MS);
    });
    if (waits === -1) return portion;
    const sinceMs = portion[waits]?.namelessSince?.atMs ?? nowMs;
    if (waits === 0) feed.notBeforeMs = Math.min(nowMs + 1_000, sinceMs + NUMBER_WAIT_MS);
    return portion.slice(0, waits);
  }

  /** How far the endpoint got. */
  async #ask(feed: Feed, nowMs: number): Promise<boolean> {
    const answer = await this.#deliver(feed.endpointId, []);
    if (!answer.ok) return this.#refused(feed, answer.error, nowMs);
    feed.sequence = answer.value.highest;
    return true;
  }

  #refused(feed: Feed, refusal: DeliveryRefusal, nowMs: number): boolean {
    switch (refusal.reason) {
      case "blank":
      case "foreign":
        // Closed: nobody will ever want this line again.
        this.#sql.exec("DELETE FROM feeds WHERE endpoint_id = ?", feed.endpointId);
        this.#feeds.delete(feed.endpointId);
        return false;
      case "gap":
        this.#failed(feed, { reason: "gap" }, nowMs);
        feed.sequence = refusal.highest;
        return false;
      case "too_many_events":
        this.#failed(feed, { reason: "too_many_events" }, nowMs);
        return false;
      default:
        return unreachable(refusal);
    }
  }

  #failed(feed: Feed, fields: LogFields, nowMs: number): void {
    feed.failures += 1;
    const { endpointId, failures } = feed;
    const told = { endpoint: endpointId, failures, ...fields };
    if (failures === ALERT_AFTER_FAILURES) logAlert("events not handed over", told);
    else logWarning("events not handed over yet", told);
    const fullMs = Math.min(RETRY_MAX_MS, RETRY_MIN_MS * 2 ** Math.min(failures - 1, 20));
    feed.notBeforeMs = nowMs + Math.ceil(fullMs * (0.5 + randomFraction(this.#random) / 2));
  }

  #write(feed: Feed): void {
    if (!this.#feeds.has(feed.endpointId)) return;
    this.#sql.exec(
      "UPDATE feeds SET acked_n = ?1, given_up_n = ?2 WHERE endpoint_id = ?3 AND (acked_n <> ?1 OR given_up_n IS NOT ?2)",
      feed.ackedN,
      feed.givenUpN,
      feed.endpointId,
    );
    feed.writtenN = feed.ackedN;
  }
}

function forgotten({ id, type, atMs }: Omit<ForgottenEvent, "isForgotten">): ForgottenEvent {
  return { isForgotten: true, id, type, atMs };
}

function feedOf(
  { endpointId, types, ackedN, givenUpN }: StoredFeed,
  before: Map<string, Feed>,
): Feed {
  const wanted = types === null ? null : (JSON.parse(types) as EventType[]);
  const known = before.get(endpointId);
  if (known === undefined) {
    return {
      endpointId,
      types: wanted,
      ackedN,
      writtenN: ackedN,
      givenUpN,
      sequence: null,
      failures: 0,
      notBeforeMs: 0,
      runningSinceMs: null,
    };
  }
  if (JSON.stringify(known.types) !== JSON.stringify(wanted)) known.types = wanted;
  return known;
}
