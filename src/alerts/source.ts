/**
 * Where alerts of this isolate begin their way to the Alerts object: repeats within some seconds are counted here and
 * go with a later one, so that a storm of errors is not a storm of calls. Memory only and bounded; the log line of each
 * has been written before. Never throws, never makes a caller wait.
 */
import type { Clock } from "../domain/clock.ts";
import { errorFields, logWarning, type LogFields } from "../domain/log.ts";
import type { RaisedAlert } from "./interface.ts";

/** Fields that say whom an alert is about. What names one message is no subject: there are too many. */
const SUBJECT_FIELDS = [
  "hostId",
  "kind",
  "device",
  "deviceId",
  "endpoint",
  "waid",
  "job",
  "what",
] as const;

/** An alert that repeats reaches the object once in this time from each isolate. */
const GATHERED_MS = 10_000;
const KINDS_MAX = 500;
/** Pauses before further tries: the object may be moving. */
const RETRY_PAUSES_MS: readonly number[] = [500, 3_000, 10_000];

export interface AlertSourceParts {
  raise: (alerts: RaisedAlert[]) => Promise<void>;
  /** Takes work that outlives the event it began in. */
  background: (work: Promise<void>) => void;
  clock: Clock;
  pause: (ms: number) => Promise<void>;
}

interface Gathered {
  sentMs: number;
  /** Not told to the object yet. */
  untold: number;
}

export class AlertSource {
  readonly #parts: AlertSourceParts;
  readonly #gathered = new Map<string, Gathered>();

  constructor(parts: AlertSourceParts) {
    this.#parts = parts;
  }

  add(name: string, fields: LogFields): void {
    const subject = subjectOf(fields);
    const key = `${name}\n${subject}`;
    const nowMs = this.#parts.clock();
    const known = this.#gathered.get(key) ?? { sentMs: Number.NEGATIVE_INFINITY, untold: 0 };
    known.untold += 1;
    this.#keep(key, known);
    if (nowMs - known.sentMs < GATHERED_MS) return;
    const count = known.untold;
    known.sentMs = nowMs;
    known.untold = 0;
    const work = this.#send({ name, subject, fields, count }).catch((error: unknown) => {
      known.untold += count;
      logWarning("alert not raised", { name, ...errorFields(error) });
    });
    this.#parts.background(work);
  }

  /** Begins after the caller's own step, which may be a transaction. */
  async #send(alert: RaisedAlert): Promise<void> {
    await Promise.resolve();
    for (const pauseMs of RETRY_PAUSES_MS) {
      try {
        await this.#parts.raise([alert]);
        return;
      } catch {
        await this.#parts.pause(pauseMs);
      }
    }
    await this.#parts.raise([alert]);
  }

  #keep(key: string, entry: Gathered): void {
    this.#gathered.delete(key);
    this.#gathered.set(key, entry);
    if (this.#gathered.size <= KINDS_MAX) return;
    const [oldest] = this.#gathered.keys();
    if (oldest !== undefined) this.#gathered.delete(oldest);
  }
}

/** Such as `device=1f…`; empty when nothing in particular is concerned. */
function subjectOf(fields: LogFields): string {
  return SUBJECT_FIELDS.flatMap((field) => {
    const value = fields[field];
    return value === undefined || value === null ? [] : [`${field}=${String(value)}`];
  }).join(" ");
}
