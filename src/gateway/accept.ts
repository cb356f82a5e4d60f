/**
 * Accepting messages: ONE D1 batch decides every packet of every request given to it, holds the money and writes the
 * message rows; whatever it refuses is refused by a batch that says why. Several requests may share one
 * (group-commit.ts); it refuses to know how a refusal looks on a wire, and never repeats a batch whose answer was lost.
 */
import { cross } from "../domain/crossing.ts";
import type { MessageCategory } from "../domain/message-status.ts";
import { invariant } from "../domain/result.ts";
import type { SendTime } from "../domain/send-time.ts";
import { ABANDON, ACCEPT, EXPLAIN } from "./accept-sql.ts";
import {
  acceptedVerdicts,
  readVerdicts,
  type AcceptedRow,
  type AcceptVerdict,
  type ExplainRow,
} from "./accept-verdict.ts";

/** One reading of a text, ready for D1. A length of 0 says that there is no such reading. */
export interface PreparedText {
  length: number;
  /** Sealed. */
  body: string;
  textMac: string;
  dupMac: string;
}

export interface AcceptMessage {
  id: number;
  to: string;
  time: SendTime;
  /** Null: the key's default, or reminder when it is for later. */
  category: MessageCategory | null;
  /** How long after its due time it may still leave; null: by category. */
  lifeMs: number | null;
  plain: PreparedText;
  /** What a key that decodes takes instead; null when that is the same text. */
  decoded: PreparedText | null;
  autoDecodes: boolean;
  /** The id of an equal message that ended unsent moments ago and is not to be replayed. */
  supersedes: number | null;
}

export interface AcceptRequest {
  /** 128 random bits in hex; tells this request's rows from others with the same ids. */
  nonce: string;
  keyHash: string;
  /** Fixed-width hex; null when the caller's address is not known. */
  address: string | null;
  waid: string;
  /** May be empty: then only what concerns the whole request is decided. */
  messages: AcceptMessage[];
  /** By which the caller may repeat it: of requests with one message. */
  repeat?: RepeatMark | null;
}

/** Keyed fingerprints: of the caller's own name for a request, and of what the request says. */
export interface RepeatMark {
  key: string;
  print: string;
}

export interface AcceptTimes {
  nowMs: number;
  /** D1 accepts nothing once its own clock is past this. */
  decideByMs: number;
}

/** Packets a batch may hold. */
export const PACKETS_MAX = 120;

/**
 * One statement, because each costs D1 more than all it checks. A request that was accepted whole, as nearly all are, gets its
 * verdict; the others get null: what of them was refused, and why, `acceptExplained` says, with the same ids.
 */
export async function acceptTogether(
  db: D1Database,
  requests: AcceptRequest[],
  times: AcceptTimes,
): Promise<(AcceptVerdict | null)[]> {
  const [inserted] = await batch<AcceptedRow>(db, requests, times, [ACCEPT]);
  return acceptedVerdicts(requests, inserted?.results ?? []);
}

/** Accepts what can be and says of each message why it was not. What stands accepted already is found. */
export async function acceptExplained(
  db: D1Database,
  requests: AcceptRequest[],
  times: AcceptTimes,
): Promise<AcceptVerdict[]> {
  const hasMessages = requests.some(({ messages }) => messages.length > 0);
  const statements = hasMessages ? [ACCEPT, EXPLAIN] : [EXPLAIN];
  const explained = (await batch<ExplainRow>(db, requests, times, statements)).at(-1);
  return readVerdicts(
    requests.map(({ address, messages }) => ({ address, messageCount: messages.length })),
    explained?.results ?? [],
  );
}

function batch<R>(
  db: D1Database,
  requests: AcceptRequest[],
  { nowMs, decideByMs }: AcceptTimes,
  statements: string[],
): Promise<D1Result<R>[]> {
  const packets = packetRows(requests);
  const bound = statements.map((statement) =>
    db.prepare(statement).bind(packets, nowMs, decideByMs),
  );
  return cross("d1", "accept", () => db.batch<R>(bound));
}

/**
 * What became of a batch whose answer was lost. In one batch it forbids whatever has not been accepted and reads
 * what has: afterwards nothing of these requests can be accepted any more.
 */
export async function proveAcceptance(
  db: D1Database,
  requests: AcceptRequest[],
  times: AcceptTimes,
): Promise<AcceptVerdict[]> {
  const packets = packetRows(requests);
  const [, explained] = await cross("d1", "prove_acceptance", () =>
    db.batch<ExplainRow>([
      db.prepare(ABANDON).bind(packets, times.nowMs),
      db.prepare(EXPLAIN).bind(packets, times.nowMs, times.decideByMs),
    ]),
  );
  return readVerdicts(
    requests.map(({ address, messages }) => ({ address, messageCount: messages.length })),
    explained?.results ?? [],
  );
}

/** A request without messages still gets a row, so that its checks run. */
export function packetRows(requests: AcceptRequest[]): string {
  const rows = requests.flatMap((request) => {
    const head = {
      nonce: request.nonce,
      key: request.keyHash,
      address: request.address,
      waid: request.waid,
    };
    if (request.messages.length === 0) return [head];
    const { repeat } = request;
    const mark = repeat ? { repeat_key: repeat.key, repeat_print: repeat.print } : {};
    return request.messages.map((message) => ({ ...head, ...mark, ...packetRow(message) }));
  });
  invariant(rows.length <= PACKETS_MAX, "a batch holds a bounded number of packets");
  return JSON.stringify(rows);
}

function packetRow(message: AcceptMessage): Record<string, unknown> {
  const { time } = message;
  return {
    id: message.id,
    to: message.to,
    wall_ms: time.kind === "wall" ? time.wallMs : undefined,
    at_ms: time.kind === "at" ? time.atMs : undefined,
    category: message.category ?? undefined,
    life_ms: message.lifeMs ?? undefined,
    supersedes: message.supersedes ?? undefined,
    auto_decodes: message.autoDecodes ? 1 : 0,
    plain: textRow(message.plain),
    decoded: message.decoded === null ? undefined : textRow(message.decoded),
  };
}

function textRow(text: PreparedText): Record<string, unknown> {
  return { length: text.length, body: text.body, text_mac: text.textMac, dup_mac: text.dupMac };
}
