/**
 * Puts back what libsignal spoils. A text is tried on every session with its writer, newest first, and each try turns
 * that session's ratchet before it is known whether the text is of it; with the session that fits, those that did not
 * are stored as well, and the newest one, which the next text goes out on, is of no use any more. Pure.
 */

/** A session record as libsignal writes it. */
export interface StoredRecord {
  _sessions: Record<string, StoredSession>;
}

interface StoredSession {
  indexInfo: { used: number };
}

/** `after` as it should be: of all sessions that changed since `before` only the one that the text was of keeps that. */
export function withoutFailedTries<R extends StoredRecord>(before: StoredRecord, after: R): R {
  const { _sessions: were } = before;
  const { _sessions: are } = after;
  const changed = inOrderOfTry(before).filter(
    (key) => JSON.stringify(were[key]) !== JSON.stringify(are[key]),
  );
  const fitting = changed.filter((key) => were[key]?.indexInfo.used !== are[key]?.indexInfo.used);
  // Two texts within a millisecond leave the same time: then it is the last one tried.
  const right = fitting.length === 1 ? fitting[0] : changed.at(-1);
  const spoiled = changed.filter((key) => key !== right);
  if (spoiled.length === 0) return after;
  const kept = spoiled.flatMap((key) => {
    const session = were[key];
    return session === undefined ? [] : [[key, session] as const];
  });
  return { ...after, _sessions: { ...are, ...Object.fromEntries(kept) } };
}

function inOrderOfTry({ _sessions }: StoredRecord): string[] {
  return Object.entries(_sessions)
    .toSorted(([, one], [, other]) => (other.indexInfo.used || 0) - (one.indexInfo.used || 0))
    .map(([key]) => key);
}

export function isStoredRecord(value: unknown): value is StoredRecord {
  return typeof value === "object" && value !== null && "_sessions" in value;
}
