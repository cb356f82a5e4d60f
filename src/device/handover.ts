/**
 * Which message goes to the host next, and the commands that carry them. A message is marked as handed over,
 * with its WhatsApp id, before its command leaves, and the command leaves only once that is durable. Refuses to
 * hand over to a phone that is not connected under the current epoch. Decides no ends (evidence.ts).
 */
import type { Command } from "../bridge/device-frames.ts";
import type { Clock } from "../domain/clock.ts";
import type { RandomBytes } from "../domain/id.ts";
import { drawWhatsAppId, randomFraction } from "../domain/id.ts";
import type { Commands } from "./commands.ts";
import type { LinkFacts } from "./evidence.ts";
import { judge, mayTryAgain, RETRY_AFTER_MS } from "./evidence.ts";
import type { Identity } from "./identity.ts";
import type { Judgement } from "./judgement.ts";
import type { MessagePatch, MessageRow } from "./message-row.ts";
import { factsOf, patchFor, PRIORITIES } from "./message-row.ts";
import type { Outbox } from "./outbox.ts";
import type { Pace } from "./pace.ts";
import type { Restriction } from "./restriction.ts";
import type { Bridge } from "./socket.ts";

/** From receipt of the command to encryption, beside the time for typing. */
const SEND_WITHIN_MS = 30_000;
const TAKE_BACK_MIN_MS = 2_000;
const TAKE_BACK_MAX_MS = 300_000;

export interface HandOverParts {
  identity: Identity;
  outbox: Outbox;
  judgement: Judgement;
  bridge: Bridge;
  commands: Commands;
  pace: Pace;
  restriction: Restriction;
  clock: Clock;
  random: RandomBytes;
}

/** What may go at one moment: built once an event, used up message by message. */
interface Desk {
  socket: WebSocket;
  link: LinkFacts;
  undecided: MessageRow[];
  free: number;
  busyRecipients: Set<string>;
}

/** True while an attempt is in a host's hands without a key commit. */
export function isInHand(row: MessageRow): boolean {
  const isUndecided = row.state === "handing" || row.state === "maybe_sent";
  return isUndecided && row.attempts > row.committedAttempt;
}

/** The attempt in hand never left: the times of what did leave count again. */
function handoversWithoutLast(row: MessageRow): MessagePatch {
  return row.committedAttempt === 0
    ? { firstHandoverMs: null }
    : { lastHandoverMs: row.firstHandoverMs };
}

export class HandOver {
  readonly #parts: HandOverParts;

  constructor(parts: HandOverParts) {
    this.#parts = parts;
  }

  get link(): LinkFacts {
    const { generation, drainedMs } = this.#parts.identity.state;
    return { generation, drainedMs };
  }

  /** The socket that takes messages now, or null. */
  readySocket(): WebSocket | null {
    const { state } = this.#parts.identity;
    if (state.status !== "connected" || state.paired === 0) return null;
    if (state.unlinkingSinceMs !== null) return null;
    // The books are being restored, or have yet to hear of what this device holds.
    if (state.heldSinceMs !== null || state.repostAfter !== null) return null;
    return this.#parts.bridge.current(state.epoch);
  }

  /** Stores new messages: at once as handed over where nothing stands before them, else as waiting. */
  store(rows: readonly MessageRow[], nowMs: number): void {
    const nextDueMs = this.#parts.outbox.nextDueMs();
    const isQueueEmpty = nextDueMs === null || nextDueMs > nowMs;
    const desk = isQueueEmpty ? this.#open(nowMs) : null;
    let waits = false;
    for (const row of rows) {
      const { restriction } = this.#parts;
      const held =
        row.dueMs <= nowMs && restriction.holds(row) ? restriction.heldPatch(nowMs) : null;
      const mayGo = desk !== null && row.dueMs <= nowMs && held === null;
      const patch = mayGo ? this.#take(desk, row, nowMs) : held;
      this.#parts.outbox.insert(patch === null ? row : { ...row, ...patch });
      if (patch === null) waits = true;
      else if (held === null) this.#send(row.id);
    }
    if (waits) this.pump(nowMs);
  }

  /** Hands over whatever may go now: second attempts first, then by category and due time. */
  pump(nowMs: number): void {
    const desk = this.#open(nowMs);
    if (desk === null) return;
    const { restriction } = this.#parts;
    restriction.holdDue(nowMs);
    for (const row of desk.undecided) {
      if (row.nextMs > nowMs || !mayTryAgain(factsOf(row), desk.link, nowMs)) continue;
      if (restriction.holds(row)) continue;
      this.#handOver(desk, row, nowMs);
    }
    const nextDueMs = this.#parts.outbox.nextDueMs();
    if (nextDueMs === null || nextDueMs > nowMs) return;
    for (const priority of Object.values(PRIORITIES)) this.#pumpDue(desk, priority, nowMs);
  }

  /** The host proved that the attempt in its hands never left; it waits a little before it goes again. */
  takeBack(row: MessageRow, factN: number, nowMs: number): void {
    const waitMs = Math.min(TAKE_BACK_MAX_MS, TAKE_BACK_MIN_MS * 2 ** Math.min(row.takeBacks, 12));
    const jitter = 0.75 + randomFraction(this.#parts.random) / 2;
    this.#parts.judgement.apply(
      row,
      { kind: "not_sent", attempt: row.attempts },
      {
        takeBackN: factN,
        takeBacks: row.takeBacks + 1,
        nextMs: Math.ceil(nowMs + waitMs * jitter),
        ...handoversWithoutLast(row),
      },
      nowMs,
    );
  }

  /** Keys of every earlier epoch are refused from now on, so what has no key commit never leaves. */
  takeAllBack(nowMs: number): void {
    for (const row of this.#parts.outbox.undecided()) {
      this.#parts.judgement.apply(
        row,
        { kind: "epoch_closed" },
        isInHand(row) ? handoversWithoutLast(row) : {},
        nowMs,
      );
    }
  }

  /** After a resume: what the host never received goes again, under fresh numbers. */
  sendAgain(socket: WebSocket, epoch: number, lastCommandSeq: number): void {
    const { outbox, bridge } = this.#parts;
    for (const row of outbox.undecided()) {
      if (!isInHand(row) || row.epoch !== epoch) continue;
      if (row.commandSeq !== null && row.commandSeq <= lastCommandSeq) continue;
      outbox.patch(row, { commandSeq: bridge.nextCommandSeq(socket) });
      this.#send(row.id);
    }
  }

  /** When a message may go next, given that nothing happens before; null when only an event can tell. */
  nextMs(nowMs: number): number | null {
    if (this.readySocket() === null) return null;
    const { outbox, pace } = this.#parts;
    const undecided = outbox.undecided();
    const freeAgain = undecided.flatMap((row) =>
      row.lastHandoverMs === null ? [] : [row.lastHandoverMs + RETRY_AFTER_MS],
    );
    const candidates = freeAgain.filter((atMs) => atMs > nowMs);
    const nextDueMs = outbox.nextDueMs();
    const { link } = this;
    const retries = undecided.filter((row) => mayTryAgain(factsOf(row), link, nowMs));
    for (const { nextMs } of retries) if (nextMs > nowMs) candidates.push(nextMs);
    const mayRetry = retries.some((row) => row.nextMs <= nowMs);
    if (nextDueMs !== null && nextDueMs > nowMs) candidates.push(nextDueMs);
    if ((nextDueMs !== null && nextDueMs <= nowMs) || mayRetry) {
      const paceMs = pace.nextMs(nowMs);
      if (paceMs > nowMs) candidates.push(paceMs);
      const recipientMs = pace.nextRecipientMs(nowMs);
      if (recipientMs !== null) candidates.push(recipientMs);
    }
    return candidates.length === 0 ? null : Math.min(...candidates);
  }

  #open(nowMs: number): Desk | null {
    const socket = this.readySocket();
    if (socket === null || this.#parts.pace.nextMs(nowMs) > nowMs) return null;
    const undecided = this.#parts.outbox.undecided();
    const busy = undecided.filter(
      (row) => isInHand(row) || (row.lastHandoverMs ?? 0) + RETRY_AFTER_MS > nowMs,
    );
    return {
      socket,
      link: this.link,
      undecided,
      free: this.#parts.pace.inHandMax - busy.length,
      busyRecipients: new Set([
        ...busy.map((row) => row.recipient),
        ...this.#parts.pace.waitingRecipients(nowMs),
      ]),
    };
  }

  /** Looks past messages whose recipient is busy, but not for ever. */
  #pumpDue(desk: Desk, priority: number, nowMs: number): void {
    for (let taken = true; taken && desk.free > 0;) {
      const { free } = desk;
      const page = this.#parts.outbox.dueNow(priority, nowMs, desk.busyRecipients, free);
      for (const row of page) this.#handOver(desk, row, nowMs);
      taken = desk.free < free;
    }
  }

  #handOver(desk: Desk, row: MessageRow, nowMs: number): void {
    const patch = this.#take(desk, row, nowMs);
    if (patch === null) return;
    this.#parts.outbox.patch(row, patch);
    this.#send(row.id);
  }

  /** What to store when this message goes now, or null when it may not. */
  #take(desk: Desk, row: MessageRow, nowMs: number): MessagePatch | null {
    const { identity, bridge, pace, random } = this.#parts;
    if (desk.free <= 0 || row.body === null || desk.busyRecipients.has(row.recipient)) return null;
    if (pace.nextMs(nowMs) > nowMs || pace.recipientFreeMs(row.recipient) > nowMs) return null;
    const { changes } = judge(factsOf(row), { kind: "handed_over", link: desk.link }, nowMs);
    if (changes === null) return null;
    const { epoch } = identity.state;
    desk.free -= 1;
    desk.busyRecipients.add(row.recipient);
    pace.handedOver(row.recipient, pace.typingMs(row.body), nowMs);
    return patchFor(
      row,
      changes,
      {
        ...(row.waId === null ? { waId: drawWhatsAppId(random) } : {}),
        ...(row.firstHandoverMs === null ? { firstHandoverMs: nowMs } : {}),
        ...(row.epoch === epoch ? {} : { takeBackN: null }),
        lastHandoverMs: nowMs,
        epoch,
        commandSeq: bridge.nextCommandSeq(desk.socket),
      },
      nowMs,
    );
  }

  #send(id: number): void {
    this.#parts.commands.push(() => {
      const row = this.#parts.outbox.get(id);
      return row === null ? null : this.#commandFor(row);
    });
  }

  /** Null when another epoch has taken the message back since. */
  #commandFor(row: MessageRow): { epoch: number; seq: number; command: Command } | null {
    const { epoch, commandSeq, waId, body } = row;
    if (!isInHand(row) || epoch === null || commandSeq === null) return null;
    if (waId === null || body === null) return null;
    const typingMs = this.#parts.pace.typingMs(body);
    const untilExpiryMs = row.expiresMs - this.#parts.clock();
    return {
      epoch,
      seq: commandSeq,
      command: {
        kind: "send",
        messageId: row.id,
        attempt: row.attempts,
        waId,
        to: row.recipient,
        text: body,
        // At least 1: the host finds it too late and says so.
        sendWithinMs: Math.max(1, Math.min(untilExpiryMs, SEND_WITHIN_MS + typingMs)),
        typingMs,
      },
    };
  }
}
