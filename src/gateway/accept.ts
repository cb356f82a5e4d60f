/**
 * Accepting messages: ONE D1 batch decides every packet of every request given to it, holds the money and writes the
 * message rows; whatever it refuses is refused by a batch that says why. It takes several requests so that they may
 * share a commit; it refuses to know how a refusal looks on a wire, and never repeats a batch whose answer was lost.
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
 * One statement where everything is accepted, which is nearly always: each costs D1 more than all it checks. When
 * something was not, the same requests are decided again with the same ids, and explained in that same batch.
 * `explains`: at once, because a refusal is likely or some may stand accepted from before.
 */
export async function acceptMessages(
  db: D1Database,
  requests: AcceptRequest[],
  times: AcceptTimes,
  { explains = false } = {},
): Promise<AcceptVerdict[]> {
  const packets = packetRows(requests);
  const bound = (statement: string): D1PreparedStatement =>
    db.prepare(statement).bind(packets, times.nowMs, times.decideByMs);
  const decided = <R>(...statements: string[]): Promise<D1Result<R>[]> =>
    cross("d1", "accept", () => db.batch<R>(statements.map(bound)));
  const asked = requests.map(({ messages }) => messages.length);
  if (!explains && asked.every((count) => count > 0)) {
    const [inserted] = await decided<AcceptedRow>(ACCEPT);
    const rows = inserted?.results ?? [];
    const count = asked.reduce((sum, packetCount) => sum + packetCount, 0);
    if (rows.length === count) return acceptedVerdicts(requests, rows);
  }
  const [, explained] = await decided<ExplainRow>(ACCEPT, EXPLAIN);
  return readVerdicts(
    requests.map(({ address, messages }) => ({ address, messageCount: messages.length })),
    explained?.results ?? [],
  );
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
