/**
 * Gathers the lines of the request log in the isolate and writes them together, after the answers. Plain data only:
 * no request ever waits for another's promise. What an isolate holds when it dies is lost, and so is what D1 does not
 * take; messages never depend on it.
 */
import { writeLines, type LineToLog } from "../directory/request-log.ts";
import type { Clock } from "../domain/clock.ts";
import { errorFields, logWarning } from "../domain/log.ts";
import { pause } from "../domain/pause.ts";
import { TokenBuckets } from "../domain/token-bucket.ts";

export type { LineToLog, LoggedRefusal } from "../directory/request-log.ts";

/** How long lines are kept, and events, and test messages. */
export const LOG_KEPT_MS = 7 * 86_400_000;

/** So many lines are not kept waiting. */
const LINES_READY = 200;
const LINES_A_WRITE = 500;
/** While D1 is slow; what is more is lost. */
const LINES_WAITING_MAX = 5_000;
/** A key that is refused again and again leaves one line in so long, and its account's other lines in peace. */
const STRANGER_LINE_MS = 60_000;
const STRANGERS_MAX = 10_000;
const WRITERS_MAX = 4;
const WRITES_OF_A_WRITER = 10;
/** A writer that has not come, or not ended, by then was cancelled with its request. */
const WRITER_LATE_MS = 5_000;
const WRITER_LOST_MS = 60_000;

export interface LogTools {
  db: D1Database;
  clock: Clock;
  /** Work that outlives the answer. */
  later: (work: Promise<unknown>) => void;
}

export class RequestLog {
  readonly #delayMs: number;
  readonly #strangers = new TokenBuckets({
    tokensMax: 1,
    fillMs: STRANGER_LINE_MS,
    namesMax: STRANGERS_MAX,
  });
  #lines: LineToLog[] = [];
  /** Until when the writer that was called is trusted to come. */
  #writerDueMs = 0;
  /** When each writer that is at work began. */
  #writersSinceMs: number[] = [];

  constructor(delayMs: number) {
    this.#delayMs = delayMs;
  }

  add(tools: LogTools, line: LineToLog): void {
    const nowMs = tools.clock();
    const isOmitted = line.isStranger && !this.#strangers.take(line.keyHash, nowMs).isAllowed;
    if (this.#lines.length >= LINES_WAITING_MAX) {
      this.#lines = [];
      logWarning("request log lines lost", { lines: LINES_WAITING_MAX, error: "D1 is too slow" });
    }
    this.#lines.push(isOmitted ? { ...line, isOmitted } : line);
    if (this.#lines.length % LINES_READY === 0) tools.later(this.#write(tools));
    else if (nowMs >= this.#writerDueMs) {
      this.#writerDueMs = nowMs + this.#delayMs + WRITER_LATE_MS;
      tools.later(this.#writeSoon(tools));
    }
  }

  async #writeSoon(tools: LogTools): Promise<void> {
    if (this.#delayMs > 0) await pause(this.#delayMs);
    await this.#write(tools);
  }

  /** When enough writers are at work, the first to be done takes these lines along. */
  async #write({ db, clock }: LogTools): Promise<void> {
    this.#writerDueMs = 0;
    const sinceMs = clock();
    this.#writersSinceMs = this.#writersSinceMs.filter((ms) => ms > sinceMs - WRITER_LOST_MS);
    if (this.#writersSinceMs.length >= WRITERS_MAX) return;
    this.#writersSinceMs.push(sinceMs);
    for (let writes = 0; writes < WRITES_OF_A_WRITER && this.#lines.length > 0; writes += 1) {
      const lines = this.#lines.splice(0, LINES_A_WRITE);
      try {
        await writeLines(db, lines, clock());
      } catch (error) {
        logWarning("request log lines lost", { lines: lines.length, ...errorFields(error) });
      }
    }
    // Taken for lost meanwhile, it has no place left to give up.
    const place = this.#writersSinceMs.indexOf(sinceMs);
    if (place >= 0) this.#writersSinceMs.splice(place, 1);
  }
}
