/**
 * Runs the `send` commands of one device in order: life of the command, lease, number check, typing, send, result.
 * The next command is prepared while the last ones are being written; the client keeps their order. A failure
 * before a key commit is `not_sent`; after it nothing is claimed, and the device waits for proof.
 */
import type { Command, Fact } from "../src/bridge/device-frames.ts";
import { BoundedMap } from "../src/domain/bounded-map.ts";
import { pause } from "./clock.ts";
import type { Clock } from "./clock.ts";
import type { Log } from "./log.ts";
import type { NotSentReason, SendOutcome, WhatsAppConnection } from "./whatsapp.ts";

export type SendCommand = Extract<Command, { kind: "send" }>;
/** `written` is for the metrics alone: what tells the device is WhatsApp's answer. */
export type SendResult = Extract<Fact, { kind: "send_result" }>["outcome"] | { kind: "written" };

const QUEUE_MAX = 200;
/** As many as a device hands over at a time when nothing paces it. */
const IN_FLIGHT_MAX = 32;
const KNOWN_NUMBERS_MAX = 2_000;

export interface SenderOptions {
  clock: Clock;
  log: Log;
  /** Null while the WhatsApp connection is not open. */
  connection(): WhatsAppConnection | null;
  mayAct(): boolean;
  /** The digits of our own phone: never in doubt, so never asked for. */
  ownPhone(): string | null;
  onResult(command: SendCommand, result: SendResult): void;
}

interface Job {
  command: SendCommand;
  deadlineMs: number;
}

export class Sender {
  readonly #options: SenderOptions;
  readonly #known = new BoundedMap<string, string>(KNOWN_NUMBERS_MAX);
  readonly #stopping = new AbortController();
  #queue: Job[] = [];
  #running = false;
  #inFlight = 0;
  #slotFree: (() => void) | null = null;
  #idle: (() => void)[] = [];

  constructor(options: SenderOptions) {
    this.#options = options;
  }

  /** `sendWithinMs` counts from here. */
  add(command: SendCommand): void {
    if (this.#stopping.signal.aborted) {
      this.#notSent(command, "session_ended");
      return;
    }
    if (this.#queue.length >= QUEUE_MAX) {
      this.#notSent(command, "busy");
      return;
    }
    const deadlineMs = this.#options.clock.monotonicMs() + command.sendWithinMs;
    this.#queue.push({ command, deadlineMs });
    if (!this.#running) void this.#run();
  }

  /** Takes nothing new; what has not started is given back; resolves when the rest has ended. */
  stop(): Promise<void> {
    this.#stopping.abort();
    const waiting = this.#queue;
    this.#queue = [];
    for (const { command } of waiting) this.#notSent(command, "session_ended");
    if (!this.#running && this.#inFlight === 0) return Promise.resolve();
    return new Promise((resolve) => {
      this.#idle.push(resolve);
    });
  }

  async #run(): Promise<void> {
    this.#running = true;
    for (let job = this.#queue.shift(); job !== undefined; job = this.#queue.shift()) {
      while (this.#inFlight >= IN_FLIGHT_MAX) {
        await new Promise<void>((resolve) => {
          this.#slotFree = resolve;
        });
      }
      const ready = await this.#prepare(job);
      if (ready !== null) void this.#send(job, ready.connection, ready.jid);
    }
    this.#running = false;
    this.#reportIdle();
  }

  /** Everything before the keys; null when the command has got its result. */
  async #prepare(job: Job): Promise<{ connection: WhatsAppConnection; jid: string } | null> {
    const { command } = job;
    const refusal = this.#refusal(job);
    const connection = this.#options.connection();
    if (refusal !== null || connection === null) {
      this.#notSent(command, refusal ?? "not_connected");
      return null;
    }
    const jid = await this.#addressOf(command, connection);
    if (jid === null) return null;
    if (command.typingMs > 0) await this.#type(job, connection, jid);
    return { connection, jid };
  }

  async #addressOf(command: SendCommand, connection: WhatsAppConnection): Promise<string | null> {
    if (command.to === this.#options.ownPhone()) return `${command.to}@s.whatsapp.net`;
    const known = this.#known.get(command.to);
    if (known !== undefined) return known;
    const check = await connection
      .checkNumber(command.to)
      .catch(() => ({ kind: "unknown" }) as const);
    switch (check.kind) {
      case "registered":
        this.#known.set(command.to, check.jid);
        return check.jid;
      case "not_registered":
        this.#options.onResult(command, { kind: "not_registered" });
        return null;
      case "unknown":
        this.#notSent(command, "number_check_failed");
        return null;
    }
  }

  async #type(job: Job, connection: WhatsAppConnection, jid: string): Promise<void> {
    const leftMs = job.deadlineMs - this.#options.clock.monotonicMs();
    try {
      await connection.typing(jid, true);
      await pause(Math.min(job.command.typingMs, Math.max(0, leftMs)), this.#stopping.signal);
      await connection.typing(jid, false);
    } catch {
      // Typing is courtesy; whether the socket is of use shows at the send.
      this.#options.log.debug("typing was not shown");
    }
  }

  async #send(job: Job, connection: WhatsAppConnection, jid: string): Promise<void> {
    const { command } = job;
    this.#inFlight += 1;
    let outcome: SendOutcome;
    try {
      outcome = await connection.send({
        to: jid,
        text: command.text,
        waId: command.waId,
        tag: { messageId: command.messageId, attempt: command.attempt },
        verdict: () => this.#refusal(job) ?? "go",
      });
    } finally {
      this.#inFlight -= 1;
      this.#slotFree?.();
      this.#slotFree = null;
    }
    if (outcome.kind === "written") this.#options.onResult(command, outcome);
    else if (outcome.kind === "not_sent") this.#notSent(command, outcome.reason);
    this.#reportIdle();
  }

  #refusal(job: Job): NotSentReason | null {
    if (this.#stopping.signal.aborted) return "session_ended";
    if (!this.#options.mayAct()) return "lease_over";
    if (this.#options.clock.monotonicMs() >= job.deadlineMs) return "too_late";
    return null;
  }

  #notSent(command: SendCommand, reason: NotSentReason): void {
    this.#options.onResult(command, { kind: "not_sent", reason });
  }

  #reportIdle(): void {
    if (this.#running || this.#inFlight > 0) return;
    const idle = this.#idle;
    this.#idle = [];
    for (const resolve of idle) resolve();
  }
}
