/**
 * What a request leaves in the log: each wire notes which key was named and how it answered; the line is written
 * when the answer has left. It refuses to delay or change an answer, and takes no text, no recipient and no key.
 */
import { network64 } from "../domain/client-address.ts";
import type { LineToLog, LoggedRefusal } from "../gateway/request-log.ts";

export interface RequestNote {
  /** Null: the request named no key, and leaves no line. */
  key: { hash: string; prefix: string } | null;
  endpoint: string;
  code: string;
  refusals: LoggedRefusal[];
  acceptedCount: number;
  refusedCount: number;
  /** The client is of the kind that does not read what it is told. */
  isUnread: boolean;
}

export interface NotedRequest {
  requestId: string;
  /** Fixed-width hex; null when the platform named none. */
  address: string | null;
  isPlainHttp: boolean;
  /** The key is not known, or was not looked up. */
  isStranger: boolean;
  startedMs: number;
  endedMs: number;
}

/** Null when there is nothing to log. */
export function logLine(note: RequestNote, request: NotedRequest): LineToLog | null {
  if (note.key === null) return null;
  const address = request.address ?? "";
  return {
    keyHash: note.key.hash,
    keyPrefix: note.key.prefix,
    network: address === "" ? "" : (network64(address)?.low ?? address),
    isUnread: note.isUnread,
    isStranger: request.isStranger,
    line: {
      id: request.requestId,
      at: request.startedMs,
      address,
      endpoint: note.endpoint,
      code: note.code,
      ...(note.refusals.length === 0 ? {} : { why: note.refusals }),
      accepted: note.acceptedCount,
      refused: note.refusedCount,
      ms: Math.max(0, request.endedMs - request.startedMs),
      ...(request.isPlainHttp ? { plain_http: true } : {}),
    },
  };
}
