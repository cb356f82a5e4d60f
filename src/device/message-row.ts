/**
 * A message as the outbox stores it, and how changes settle in such a row: status history, revision, times and
 * whether it still needs work. Pure values; no SQL, no clock. It refuses to decide: that is evidence.ts.
 */
import type { MessageCategory, MessageReason, MessageStatus } from "../domain/message-status.ts";
import type { Changes, MessageFacts, MessageState, MoneyState } from "./evidence.ts";
import { isEnded, statusOf } from "./evidence.ts";
import type { DeviceStatus, EnqueueVerdict, HistoryEntry, MessageToEnqueue } from "./interface.ts";

/** Waits for its hand-over. */
export const OPEN_WAITING = 1;
/** Undecided, or its end is not in the books yet. */
export const OPEN_UNSETTLED = 2;

/** Flags are 0 or 1, as SQLite keeps them. */
export interface MessageRow {
  id: number;
  /** Of the request that brought it. Before it came, of the one that may bring it; null: of any. */
  nonce: string | null;
  /** Empty while only the id was heard of (isNameless). */
  recipient: string;
  /** Null once retention cleared it. */
  body: string | null;
  category: MessageCategory;
  priority: number;
  priceRupiah: number;
  periodId: number;
  acceptedMs: number;
  dueMs: number;
  expiresMs: number;
  generation: number;
  state: MessageState;
  reason: MessageReason | null;
  open: number | null;
  nextMs: number;
  waId: string | null;
  attempts: number;
  committedAttempt: number;
  attemptsClosed: number;
  takeBacks: number;
  gets: number;
  firstHandoverMs: number | null;
  lastHandoverMs: number | null;
  epoch: number | null;
  commandSeq: number | null;
  commitEpoch1: number | null;
  commitEpoch2: number | null;
  takeBackN: number | null;
  money: MoneyState;
  moneyDirty: number;
  statusDirty: number;
  rev: number;
  deliveredMs: number | null;
  endedMs: number | null;
  history: string;
}

export type MessagePatch = Partial<Omit<MessageRow, "id">>;

export const PRIORITIES: Record<MessageCategory, number> = { otp: 0, notification: 1, reminder: 2 };

/** A message before anything happened to it. */
export function newRow(message: MessageToEnqueue, generation: number): MessageRow {
  return {
    id: message.id,
    nonce: message.nonce,
    recipient: message.to,
    body: message.text,
    category: message.category,
    priority: PRIORITIES[message.category],
    priceRupiah: message.priceRupiah,
    periodId: message.periodId,
    acceptedMs: message.acceptedMs,
    dueMs: message.dueMs,
    expiresMs: message.expiresMs,
    generation,
    state: "queued",
    reason: null,
    open: OPEN_WAITING,
    nextMs: message.dueMs,
    waId: null,
    attempts: 0,
    committedAttempt: 0,
    attemptsClosed: 0,
    takeBacks: 0,
    gets: 0,
    firstHandoverMs: null,
    lastHandoverMs: null,
    epoch: null,
    commandSeq: null,
    commitEpoch1: null,
    commitEpoch2: null,
    takeBackN: null,
    // Kabar's own texts have negative ids and no money.
    money: message.id < 0 ? "free" : "held",
    moneyDirty: 0,
    statusDirty: 0,
    rev: 1,
    deliveredMs: null,
    endedMs: null,
    history: "[]",
  };
}

/** Only its id was ever heard of: a cancel or abandon came first. */
export function isNameless({ recipient }: Pick<MessageRow, "recipient">): boolean {
  return recipient === "";
}

/** The place taken by an id that came without its message: whoever brings it under `nonce` gets this verdict. */
export function emptyRow(
  id: number,
  nonce: string | null,
  nowMs: number,
  generation: number,
): MessageRow {
  return {
    ...newRow(
      {
        id,
        nonce: "",
        to: "",
        text: "",
        category: "notification",
        priceRupiah: 0,
        periodId: 0,
        acceptedMs: nowMs,
        dueMs: nowMs,
        expiresMs: nowMs,
      },
      generation,
    ),
    nonce,
    body: null,
  };
}

export function factsOf(row: MessageRow): MessageFacts {
  const { state, reason, money, attempts, committedAttempt } = row;
  const { firstHandoverMs, lastHandoverMs, expiresMs, generation } = row;
  return {
    state,
    reason,
    money,
    attempts,
    committedAttempt,
    attemptsClosed: row.attemptsClosed === 1,
    firstHandoverMs,
    lastHandoverMs,
    expiresMs,
    generation,
  };
}

export function verdictOf(row: MessageRow): EnqueueVerdict {
  return { id: row.id, status: statusOf(row.state), reason: row.reason };
}

/** What to store so that `changes` hold for `row`; `beside` are columns the decision does not know. */
export function patchFor(
  row: MessageRow,
  changes: Changes,
  beside: MessagePatch,
  nowMs: number,
): MessagePatch {
  const { moneyDirty, statusDirty, attemptsClosed, ...plain } = changes;
  const patch: MessagePatch = { ...plain, ...beside };
  if (moneyDirty !== undefined) patch.moneyDirty = Number(moneyDirty);
  if (statusDirty !== undefined) patch.statusDirty = Number(statusDirty);
  if (attemptsClosed !== undefined) patch.attemptsClosed = Number(attemptsClosed);
  const next = { ...row, ...patch };
  // Nobody has paid for it yet.
  if (isNameless(next)) {
    patch.moneyDirty = 0;
    patch.statusDirty = 0;
  }
  if (statusOf(next.state) !== statusOf(row.state)) {
    patch.rev = row.rev + 1;
    patch.history = JSON.stringify([
      ...(JSON.parse(row.history) as StoredHistory),
      [statusOf(next.state), next.reason, nowMs],
    ]);
    if (row.endedMs === null) patch.endedMs = nowMs;
    if ((next.state === "received" || next.state === "read") && row.deliveredMs === null) {
      patch.deliveredMs = nowMs;
    }
  }
  const open = openOf({ ...row, ...patch });
  if (open !== row.open) patch.open = open;
  return patch;
}

/** Why a message that waits for its hand-over waits. */
export function waitingReason(
  row: Pick<MessageRow, "dueMs" | "nextMs" | "reason">,
  device: DeviceStatus,
  nowMs: number,
): "scheduled" | "queued" | "device_offline" | "account_restricted" {
  if (row.dueMs > nowMs) return "scheduled";
  if (row.reason === "account_restricted") return row.reason;
  return device === "connected" ? "queued" : "device_offline";
}

/** Clears flags after the books confirmed them. */
export function patchForBooks(row: MessageRow, flags: MessagePatch): MessagePatch {
  const open = openOf({ ...row, ...flags });
  return open === row.open ? flags : { ...flags, open };
}

function openOf(row: MessageRow): number | null {
  if (row.state === "queued") return OPEN_WAITING;
  if (!isEnded(row.state)) return OPEN_UNSETTLED;
  return row.moneyDirty === 1 || row.statusDirty === 1 ? OPEN_UNSETTLED : null;
}

type StoredHistory = [MessageStatus, MessageReason | null, number][];

/** The story told to the customer. */
export function historyOf(row: MessageRow): HistoryEntry[] {
  const scheduled = row.dueMs > row.acceptedMs;
  const entries: HistoryEntry[] = [
    { status: "pending", reason: scheduled ? "scheduled" : "queued", atMs: row.acceptedMs },
  ];
  if (row.firstHandoverMs !== null) {
    entries.push({ status: "pending", reason: "handed_over", atMs: row.firstHandoverMs });
  }
  for (const [status, reason, atMs] of JSON.parse(row.history) as StoredHistory) {
    entries.push({ status, reason, atMs });
  }
  return entries;
}
