/**
 * Carries due events to the receiver, a few at a time, and acts on how each attempt ends. An attempt is written down
 * before its call leaves, so that an end of this object costs a repetition, never an event.
 */
import type { Clock } from "../domain/clock.ts";
import { webhookEvent } from "../domain/event.ts";
import type { RandomBytes } from "../domain/id.ts";
import { randomFraction } from "../domain/id.ts";
import { logAlert } from "../domain/log.ts";
import { unreachable } from "../domain/result.ts";
import type { WebhookUrlRules } from "../domain/webhook-url.ts";
import { POST_TIMEOUT_MS, post } from "../outgoing/post.ts";
import type { AttemptEnd, Verdict } from "./attempt.ts";
import { judge, outcomeOf, prepare } from "./attempt.ts";
import type { AttemptLog } from "./attempt-log.ts";
import type { RenderedBody } from "./body.ts";
import { renderBody } from "./body.ts";
import type { Health } from "./health.ts";
import type { Queue, QueuedRow } from "./queue.ts";
import type { EndpointRecord } from "./record.ts";
import { nextAttemptMs } from "./schedule.ts";
import type { TextSeal } from "./text-seal.ts";

/** Below the six connections the platform allows: D1 needs one as well. */
export const IN_FLIGHT_MAX = 4;
/** Attempts that one call or alarm may start: the platform measures its time, and the next alarm comes at once. */
const BURST_MAX = 2_000;
const RECOVERY_PORTION = 100;
/** A restart says nothing about the receiver: its attempt is repeated soon. */
const AFTER_INTERRUPTION_MS = 5_000;
/** A flight that is older than this has lost its end. */
const LOST_AFTER_MS = 3 * POST_TIMEOUT_MS;

interface Flight {
  row: QueuedRow;
  attemptId: number;
  startedMs: number;
  controller: AbortController;
}

interface DispatchParts {
  record: EndpointRecord;
  queue: Queue;
  log: AttemptLog;
  health: Health;
  seal: TextSeal;
  urlRules: Omit<WebhookUrlRules, "allowHttp">;
  transaction: <T>(work: () => T) => T;
  clock: Clock;
  random: RandomBytes;
  /** Runs work that outlives the event that caused it. */
  background: (work: Promise<void>) => void;
  /** After an attempt ended: the alarm may be due at another time. */
  onSettled: () => Promise<void>;
}

export class Dispatch {
  readonly #parts: DispatchParts;
  readonly #flights = new Map<number, Flight>();
  #idle = Promise.withResolvers<void>();
  #isIdle = true;
  #burstLeft = BURST_MAX;
  #closed = false;

  constructor(parts: DispatchParts) {
    this.#parts = parts;
    this.#idle.resolve();
  }

  /** After construction, and from time to time: attempts whose end nobody will tell. */
  takeBackLost(nowMs: number): void {
    const { queue, log, random } = this.#parts;
    for (const row of queue.inFlight()) {
      if (this.#flights.has(row.n)) continue;
      const dueMs = nextAttemptMs(row.attempts, nowMs, null, randomFraction(random));
      const soonMs = dueMs === null ? null : Math.min(dueMs, nowMs + AFTER_INTERRUPTION_MS);
      log.interrupted(row.n, soonMs);
      if (soonMs === null) queue.bury(row, "attempts_exhausted", nowMs);
      else queue.retryAt(row, soonMs, nowMs);
    }
  }

  /** At a call or an alarm: starts whatever may start. */
  pump(): void {
    this.#burstLeft = BURST_MAX;
    this.#fill();
  }

  #fill(): void {
    while (this.#mayStart() && this.#burstLeft > 0) {
      const nowMs = this.#parts.clock();
      const flight = this.#parts.transaction(() => this.#depart(nowMs));
      if (flight === "nothing_due") return;
      if (flight !== "again") this.#start(flight);
    }
  }

  /** Resolves once no attempt is under way. */
  async idle(): Promise<void> {
    await this.#idle.promise;
  }

  nextMs(nowMs: number): number | null {
    const { queue } = this.#parts;
    const times = [...this.#flights.values()].map(({ startedMs }) => startedMs + LOST_AFTER_MS);
    if (queue.flightCount() > this.#flights.size) times.push(nowMs + AFTER_INTERRUPTION_MS);
    if (this.#mayStart()) {
      const dueMs = queue.nextDueMs();
      if (dueMs !== null) times.push(dueMs);
    }
    return times.length === 0 ? null : Math.min(...times);
  }

  /** The endpoint is closed: nobody waits for these ends any more. */
  abort(): void {
    const flights = [...this.#flights.values()];
    this.#closed = true;
    this.#flights.clear();
    for (const { controller } of flights) controller.abort();
  }

  #settleDown(): void {
    this.#isIdle = true;
    this.#idle.resolve();
  }

  #mayStart(): boolean {
    return !this.#closed && this.#parts.record.isOpen && this.#flights.size < IN_FLIGHT_MAX;
  }

  #depart(nowMs: number): Flight | "again" | "nothing_due" {
    const { queue, log } = this.#parts;
    const row = queue.nextDue(nowMs);
    if (row === null) return this.#bringForward(nowMs) ? "again" : "nothing_due";
    queue.depart(row, nowMs);
    const attemptId = log.begin(row, nowMs);
    const departed = { ...row, attempts: row.attempts + 1, flightMs: nowMs };
    const controller = new AbortController();
    return { row: departed, attemptId, startedMs: nowMs, controller };
  }

  /** After an outage the events it held up need not wait for their turn. */
  #bringForward(nowMs: number): boolean {
    const { record, queue } = this.#parts;
    const { recoveredMs } = record.state;
    if (recoveredMs === null) return false;
    if (queue.bringForward(recoveredMs, nowMs, RECOVERY_PORTION) > 0) return true;
    record.patch({ recoveredMs: null });
    return false;
  }

  #start(flight: Flight): void {
    if (this.#isIdle) this.#idle = Promise.withResolvers<void>();
    this.#isIdle = false;
    this.#burstLeft -= 1;
    this.#flights.set(flight.row.n, flight);
    this.#parts.background(this.#fly(flight));
  }

  async #fly(flight: Flight): Promise<void> {
    try {
      const body = await this.#bodyOf(flight.row);
      if (typeof body === "string") this.#withdraw(flight, body);
      else await this.#deliver(flight, body);
    } finally {
      if (this.#isUnderWay(flight)) this.#flights.delete(flight.row.n);
      this.#fill();
      if (this.#flights.size === 0) this.#settleDown();
    }
    await this.#parts.onSettled();
  }

  /** False once the endpoint was closed: there is nothing left to write to. */
  #isUnderWay(flight: Flight): boolean {
    return this.#flights.get(flight.row.n) === flight;
  }

  async #bodyOf(row: QueuedRow): Promise<RenderedBody | "unwanted" | "unreadable"> {
    const { queue, seal, record } = this.#parts;
    const sealed = queue.data(row.n);
    const data = sealed === null ? null : await seal.openOrNull(row.id, sealed);
    if (data === null) return "unreadable";
    const event = webhookEvent.safeParse({ ...row, data: JSON.parse(data) as unknown });
    if (!event.success) return "unreadable";
    return renderBody(event.data, record.settings.body) ?? "unwanted";
  }

  /** There is nothing to send after all: settings changed, or the stored event cannot be read. */
  #withdraw(flight: Flight, why: "unwanted" | "unreadable"): void {
    if (!this.#isUnderWay(flight)) return;
    const { queue, log, record, clock, transaction } = this.#parts;
    const { row, attemptId } = flight;
    transaction(() => {
      log.withdraw(attemptId);
      if (queue.get(row.n) === null) return;
      if (why === "unwanted") return queue.drop(row, clock());
      logAlert("stored event is unreadable", { endpoint: record.state.endpointId, event: row.id });
      queue.bury(row, "unreadable", clock());
    });
  }

  async #deliver(flight: Flight, body: RenderedBody): Promise<void> {
    const { clock, transaction, log } = this.#parts;
    const end = await this.#attempt(flight, body);
    const answer =
      end.kind === "answered" ? await log.sealAnswer(flight.attemptId, end.answer) : null;
    if (this.#isUnderWay(flight)) transaction(() => this.#settle(flight, end, answer, clock()));
  }

  async #attempt({ row, startedMs, controller }: Flight, body: RenderedBody): Promise<AttemptEnd> {
    const { record, urlRules, clock } = this.#parts;
    const { url, allowHttp } = record.settings;
    const to = { url, secrets: record.secretsAt(startedMs) };
    const prepared = prepare(row.id, body, to, { ...urlRules, allowHttp }, startedMs);
    return prepared.ok
      ? post("endpoint.post", prepared.value, clock, controller)
      : { kind: "address_refused" };
  }

  #settle(
    { row, attemptId }: Flight,
    end: AttemptEnd,
    answer: ArrayBuffer | null,
    nowMs: number,
  ): void {
    const { queue, log, random } = this.#parts;
    const verdict = judge(end, row.attempts, nowMs, randomFraction(random));
    log.end(attemptId, {
      outcome: outcomeOf(end),
      durationMs: "durationMs" in end ? end.durationMs : null,
      status: end.kind === "answered" ? end.status : null,
      answer,
      nextMs: verdict.kind === "retry" ? verdict.atMs : null,
    });
    this.#actOn(verdict, nowMs);
    // It may have been forgotten while it was under way.
    const stillWaits = queue.get(row.n)?.flightMs === row.flightMs;
    if (stillWaits) this.#place(row, verdict, nowMs);
    else log.forgetAnswersTo(row.n);
  }

  #actOn(verdict: Verdict, nowMs: number): void {
    const { health } = this.#parts;
    switch (verdict.kind) {
      case "delivered":
        return health.succeeded(nowMs);
      case "gone":
        return health.gone(nowMs);
      case "retry":
      case "gave_up":
        return health.failed(nowMs);
      default:
        return unreachable(verdict);
    }
  }

  #place(row: QueuedRow, verdict: Verdict, nowMs: number): void {
    const { queue } = this.#parts;
    switch (verdict.kind) {
      case "delivered":
        return queue.delivered(row, nowMs);
      case "gone":
        // Waits for the day the customer opens the endpoint again.
        return queue.retryAt(row, nowMs, nowMs);
      case "retry":
        return queue.retryAt(row, verdict.atMs, verdict.askedFor ? null : nowMs);
      case "gave_up":
        return queue.bury(row, "attempts_exhausted", nowMs);
      default:
        return unreachable(verdict);
    }
  }
}
