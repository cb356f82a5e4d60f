/**
 * Everything that happens, in order, so that tests and pages wait for events instead of sleeping. Bounded: old events
 * are forgotten. Numbers start at 1 with each process.
 */

export type SimulatorEvent = {
  seq: number;
  atMs: number;
  kind: EventKind;
  number: string;
} & Record<string, unknown>;

export type EventKind =
  /** A client asks to be linked: it holds a QR code (`number` is empty) or has announced a pairing code. */
  | "qr"
  | "code_requested"
  | "paired"
  | "unlinked"
  /** `login` when the server said success, `online` when the client has finished its login. */
  | "login"
  | "online"
  | "login_refused"
  | "disconnected"
  /** A text arrived at a phone's device (`number` owns the device). */
  | "message"
  | "decrypt_failed"
  /** A client asked its own phone for something. */
  | "peer_message"
  /** The server's answer to a client's message. */
  | "ack_sent"
  | "ack_held"
  | "ack_lost"
  | "swallowed"
  /** A receipt went from a phone to a client, or came from a client (`by`). */
  | "receipt_sent"
  | "receipt_received"
  | "retry_sent"
  | "retry_received"
  /** A text was put on the way to a client; the client has acknowledged it. */
  | "inbound_sent"
  | "inbound_acked"
  | "inbound_nacked"
  | "typing"
  | "prekeys_uploaded"
  /** A client asked until when its account may start no new chats. */
  | "restriction_asked"
  | "fault"
  | "unexpected";

type Listener = (event: SimulatorEvent) => void;

export type EventFilter = {
  kind?: EventKind | undefined;
  number?: string | undefined;
  id?: string | undefined;
};

const EVENTS_MAX = 20_000;

export class Events {
  readonly #now: () => number;
  readonly #listeners = new Set<Listener>();
  #events: SimulatorEvent[] = [];
  #seq = 0;
  readonly #waiting = new Set<() => void>();

  constructor(now: () => number) {
    this.#now = now;
  }

  get last(): number {
    return this.#seq;
  }

  emit(kind: EventKind, number: string, details: Record<string, unknown> = {}): void {
    this.#seq += 1;
    const event: SimulatorEvent = { ...details, seq: this.#seq, atMs: this.#now(), kind, number };
    this.#events.push(event);
    if (this.#events.length > EVENTS_MAX * 1.5) this.#events = this.#events.slice(-EVENTS_MAX);
    for (const listener of this.#listeners) listener(event);
  }

  /** Events after `seq`, oldest first. */
  after(seq: number, matches: (event: SimulatorEvent) => boolean = () => true): SimulatorEvent[] {
    const missed = this.#events.length - Math.max(0, this.#seq - seq);
    return this.#events.slice(Math.max(0, missed)).filter(matches);
  }

  subscribe(listener: Listener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** The first event after `seq` that matches, waiting up to `timeoutMs` for it. */
  async waitFor(
    matches: (event: SimulatorEvent) => boolean,
    timeoutMs: number,
    seq = 0,
  ): Promise<SimulatorEvent | undefined> {
    const past = this.after(seq, matches)[0];
    if (past !== undefined) return past;
    return new Promise((resolve) => {
      const finish = (event: SimulatorEvent | undefined): void => {
        clearTimeout(timer);
        stop();
        this.#waiting.delete(giveUp);
        resolve(event);
      };
      const giveUp = (): void => finish(undefined);
      const stop = this.subscribe((event) => {
        if (matches(event)) finish(event);
      });
      const timer = setTimeout(giveUp, timeoutMs);
      this.#waiting.add(giveUp);
    });
  }

  /** Ends every wait, so that a closing simulator leaves no timers. */
  close(): void {
    for (const giveUp of this.#waiting) giveUp();
    this.#listeners.clear();
  }
}

export function eventMatches(event: SimulatorEvent, filter: EventFilter): boolean {
  if (filter.kind !== undefined && event.kind !== filter.kind) return false;
  if (filter.number !== undefined && event.number !== filter.number) return false;
  return filter.id === undefined || event["id"] === filter.id;
}
