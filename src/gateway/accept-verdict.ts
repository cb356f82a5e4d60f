/**
 * What D1's explanation of an accepting batch means: one verdict a request, one a message. Reads rows and decides
 * nothing; the order in which reasons count is in the statement.
 */
import type { DeviceIdentity } from "../device/interface.ts";
import type { MessageFailure, RequestFailure } from "../domain/failure.ts";
import type { MessageCategory } from "../domain/message-status.ts";
import { invariant, unreachable } from "../domain/result.ts";

/** A message row as D1 holds it; its text is the caller's own or, for a duplicate, equal to it. */
export interface AcceptedMessage {
  id: number;
  nonce: string;
  to: string;
  category: MessageCategory;
  priceRupiah: number;
  periodId: number;
  acceptedMs: number;
  dueMs: number;
  expiresMs: number;
}

export type MessageVerdict =
  | { kind: "accepted"; message: AcceptedMessage; takesDecoded: boolean }
  /** An equal message stands already: this one. */
  | { kind: "duplicate"; message: AcceptedMessage; takesDecoded: boolean }
  /** The request came before: with this one. */
  | { kind: "repeated"; message: AcceptedMessage; takesDecoded: boolean }
  | { kind: "refused"; failure: MessageFailure }
  /** The id belongs to another message: draw new ones. */
  | { kind: "id_taken" };

export type AcceptVerdict =
  | { kind: "refused"; failure: RequestFailure }
  /** In the order of the request's messages. */
  | { kind: "decided"; device: DeviceIdentity; keyId: number; messages: MessageVerdict[] };

/** What was asked, as far as reading the answer needs it. */
interface AskedRequest {
  address: string | null;
  messageCount: number;
}

type Outcome =
  | "accepted"
  | "allowed"
  | "duplicate"
  | "repeated"
  | "repeat_differs"
  | "too_late"
  | "id_taken"
  | "unexplained"
  | "key_unknown"
  | "device_unknown"
  | "address_not_allowed"
  | "balance_expired"
  | "package_expired"
  | "text_invalid"
  | "time_invalid"
  | "recipient_opted_out"
  | "balance_short"
  | "quota_used_up"
  | "device_unavailable";

/** The columns of EXPLAIN. Those of the message are null unless the outcome is accepted, duplicate or repeated. */
export interface ExplainRow {
  account_id: number;
  key_id: number;
  device_id: string;
  waid: string;
  outcome: Outcome;
  takes_decoded: number;
  id: number;
  nonce: string;
  recipient: string;
  category: MessageCategory;
  price_rupiah: number;
  period_id: number;
  accepted_ms: number;
  due_ms: number;
  expires_ms: number;
}

/** The row of a message as it was inserted. */
export type AcceptedRow = Omit<ExplainRow, "waid" | "outcome" | "takes_decoded"> & {
  /** The first characters of the sealed text that was stored. */
  body_mark: string;
};

/** What is known of a request's messages before the batch. */
interface OfferedRequest {
  nonce: string;
  waid: string;
  messages: { id: number; decoded: { body: string } | null }[];
}

/** Of each request whose messages were all inserted just now; null for every other. */
export function acceptedVerdicts(
  requests: OfferedRequest[],
  rows: AcceptedRow[],
): (AcceptVerdict | null)[] {
  const byId = new Map(rows.map((row) => [row.id, row]));
  return requests.map(({ nonce, waid, messages }) => {
    const own = messages.flatMap(({ id, decoded }) => {
      const row = byId.get(id);
      // Two requests of a batch may have drawn the same id.
      if (row?.nonce !== nonce) return [];
      return [{ row, takesDecoded: decoded !== null && decoded.body.startsWith(row.body_mark) }];
    });
    const [first] = own;
    if (first === undefined || own.length < messages.length) return null;
    return {
      kind: "decided",
      device: { deviceId: first.row.device_id, accountId: first.row.account_id, waid },
      keyId: first.row.key_id,
      messages: own.map(({ row, takesDecoded }) => ({
        kind: "accepted",
        message: storedMessage(row),
        takesDecoded,
      })),
    };
  });
}

export function readVerdicts(requests: AskedRequest[], rows: ExplainRow[]): AcceptVerdict[] {
  let next = 0;
  return requests.map((request) => {
    const count = Math.max(1, request.messageCount);
    const own = rows.slice(next, next + count);
    next += count;
    const [first] = own;
    invariant(first !== undefined && own.length === count, "D1 explains every packet");
    // After a lost answer a packet may stand accepted although the key was revoked since.
    const accepted = own.some((row) => row.outcome === "accepted");
    const failure = accepted ? null : requestFailure(first.outcome, request);
    if (failure !== null) return { kind: "refused", failure };
    return {
      kind: "decided",
      device: { deviceId: first.device_id, accountId: first.account_id, waid: first.waid },
      keyId: first.key_id,
      messages: request.messageCount === 0 ? [] : own.map(messageVerdict),
    };
  });
}

function requestFailure(outcome: Outcome, request: AskedRequest): RequestFailure | null {
  switch (outcome) {
    case "key_unknown":
    case "device_unknown":
    case "balance_expired":
    case "package_expired":
      return { reason: outcome };
    case "repeat_differs":
      return { reason: "idempotency_key_reused" };
    case "address_not_allowed":
      return { reason: outcome, address: request.address ?? "" };
    default:
      return null;
  }
}

function messageVerdict(row: ExplainRow): MessageVerdict {
  const { outcome } = row;
  switch (outcome) {
    case "accepted":
    case "duplicate":
    case "repeated":
      return { kind: outcome, message: storedMessage(row), takesDecoded: row.takes_decoded === 1 };
    case "id_taken":
      return { kind: outcome };
    case "text_invalid":
      return { kind: "refused", failure: { reason: outcome, detail: "length" } };
    case "time_invalid":
    case "recipient_opted_out":
    case "balance_short":
    case "quota_used_up":
    case "device_unavailable":
      return { kind: "refused", failure: { reason: outcome } };
    case "too_late":
    case "unexplained":
    // A refusal of the whole request, read from its first row, stands in every row of it.
    case "allowed":
    case "repeat_differs":
    case "key_unknown":
    case "device_unknown":
    case "address_not_allowed":
    case "balance_expired":
    case "package_expired":
      return { kind: "refused", failure: { reason: "system_unavailable" } };
    default:
      return unreachable(outcome);
  }
}

function storedMessage(row: Omit<AcceptedRow, "body_mark">): AcceptedMessage {
  return {
    id: row.id,
    nonce: row.nonce,
    to: row.recipient,
    category: row.category,
    priceRupiah: row.price_rupiah,
    periodId: row.period_id,
    acceptedMs: row.accepted_ms,
    dueMs: row.due_ms,
    expiresMs: row.expires_ms,
  };
}
