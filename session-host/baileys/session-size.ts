/**
 * Keeps the row of one Signal session small. A contact can make libsignal keep thousands of skipped message keys and
 * dozens of closed sessions; such a row would not fit a frame, and with it every commit would stop. What is dropped
 * could only have opened texts that are long overdue; WhatsApp is then asked for them again. Pure.
 */
import { z } from "zod";

/** Sealed and in base64 it is a third longer; two of them fit one frame with room for a text. */
export const SESSION_CHARS_MAX = 150_000;
/** Trimmed further than needed, so that not every message that follows trims again. */
const SESSION_CHARS_TRIMMED = 100_000;

const SESSIONS = "_sessions";
const CHAINS = "_chains";

/** The parts of libsignal's serialized record that are looked at; all others pass untouched. */
const sessionRecord = z.looseObject({
  [SESSIONS]: z.record(
    z.string(),
    z.looseObject({
      indexInfo: z.looseObject({ closed: z.number() }),
      [CHAINS]: z.record(
        z.string(),
        z.looseObject({
          chainKey: z.looseObject({ key: z.string().nullish() }),
          messageKeys: z.record(z.string(), z.string()),
        }),
      ),
    }),
  ),
});
type SessionRecord = z.infer<typeof sessionRecord>;

export interface BoundSession {
  /** Null: nothing of it can be kept; the contact starts over. */
  json: string | null;
  trimmed: boolean;
}

export function boundSession(json: string): BoundSession {
  if (json.length <= SESSION_CHARS_MAX) return { json, trimmed: false };
  const parsed = sessionRecord.safeParse(JSON.parse(json));
  if (!parsed.success) return { json: null, trimmed: true };
  const record = parsed.data;
  const excess = json.length - SESSION_CHARS_TRIMMED;
  const left = dropSkippedKeys(record, dropEndedChains(record, dropClosedSessions(record, excess)));
  return { json: left > 0 ? null : JSON.stringify(record), trimmed: true };
}

/** Longest closed first. Answers how many characters are still too many. */
function dropClosedSessions(record: SessionRecord, excess: number): number {
  let left = excess;
  const closed = Object.entries(record[SESSIONS])
    .filter(([, session]) => session.indexInfo.closed !== -1)
    .toSorted(([, one], [, other]) => one.indexInfo.closed - other.indexInfo.closed);
  for (const [key, session] of closed) {
    if (left <= 0) return left;
    left -= JSON.stringify(session).length + key.length;
    delete record[SESSIONS][key];
  }
  return left;
}

/** Chains that the conversation has gone past are kept for late texts only; older ones stand before newer ones. */
function dropEndedChains(record: SessionRecord, excess: number): number {
  let left = excess;
  for (const session of Object.values(record[SESSIONS])) {
    for (const [key, chain] of Object.entries(session[CHAINS])) {
      if (left <= 0) return left;
      if (typeof chain.chainKey.key === "string") continue;
      left -= JSON.stringify(chain).length + key.length;
      delete session[CHAINS][key];
    }
  }
  return left;
}

/** Lower counters are older. */
function dropSkippedKeys(record: SessionRecord, excess: number): number {
  let left = excess;
  for (const session of Object.values(record[SESSIONS])) {
    for (const { messageKeys } of Object.values(session[CHAINS])) {
      for (const counter of Object.keys(messageKeys).toSorted((a, b) => Number(a) - Number(b))) {
        if (left <= 0) return left;
        left -= counter.length + (messageKeys[counter]?.length ?? 0);
        delete messageKeys[counter];
      }
    }
  }
  return left;
}
