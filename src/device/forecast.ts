/**
 * When a message would leave, given what waits before it and how fast the phone writes: so that a text which
 * cannot leave within its life is refused at once instead of accepted to expire. An estimate from the pace alone;
 * how long a phone stays away is not known and not guessed. No I/O, no clock.
 */
import type { LineLoad } from "./line-load.ts";
import type { Pace } from "./pace.ts";

/** A waiting message, as far as it keeps others waiting. */
export interface InLine {
  priority: number;
  /** Not before this. */
  nextMs: number;
  recipient: string;
  textLength: number;
}

export interface Candidate extends InLine {
  /** Not after this. */
  expiresMs: number;
}

export interface Line {
  /** Of all priorities, now and later. */
  waitingCount(): number;
  /** Those of this priority or a more urgent one that may leave by `dueMs`, in the order in which they may. */
  before(priority: number, dueMs: number): Iterable<InLine>;
  load: Pick<LineLoad, "count" | "throughMs" | "recipientCount">;
}

/** So many are read one by one; of a longer line the sums are taken. */
const READ_MAX = 500;

/** The longest text, for the step that no text exceeds. */
const TEXT_LENGTH_MAX = 1_000;
/** Half of a uniform gap of 2.5 to 7 s, as a standard deviation; two of them are added for chance. */
const STEP_DEVIATION_MS = 1_300;
const DEVIATIONS = 2;

/** True when the pace will not let this one leave in time. `taken`: others just accepted, not yet in line. */
export function isHopeless(
  candidate: Candidate,
  line: Line,
  taken: readonly InLine[],
  pace: Pace,
  nowMs: number,
): boolean {
  const stepMaxMs = pace.meanStepMs(TEXT_LENGTH_MAX);
  if (stepMaxMs === 0) return false;
  const leaveByMs = candidate.expiresMs;
  const countMax = line.waitingCount() + taken.length;
  const startMs = pace.nextMs(nowMs) + (countMax === 0 ? 0 : pace.rampLagMs(nowMs));
  // So few that not even the longest texts could keep it: the line need not be read.
  const chanceMs = DEVIATIONS * STEP_DEVIATION_MS * Math.sqrt(countMax);
  if (Math.max(startMs, candidate.nextMs) + countMax * stepMaxMs + chanceMs < leaveByMs) {
    return false;
  }
  const dueMs = Math.max(nowMs, candidate.nextMs);
  const mine = taken.filter((one) => one.priority <= candidate.priority && one.nextMs <= dueMs);
  if (
    line.load.count(candidate.priority) > READ_MAX &&
    !isContactBusy(candidate, line, pace, startMs)
  ) {
    const throughMs = line.load.throughMs(candidate.priority, dueMs, startMs);
    const mineMs = mine.reduce((sum, { textLength }) => sum + pace.meanStepMs(textLength), 0);
    return Math.max(throughMs + mineMs + chanceMs, candidate.nextMs) >= leaveByMs;
  }
  const before = [...line.before(candidate.priority, dueMs), ...mine].toSorted(
    (one, other) => one.nextMs - other.nextMs,
  );
  return leavesAtMs(candidate, before, pace, startMs) >= leaveByMs;
}

/** So many texts for one number may wait that their pauses alone decide: then each is looked at. */
function isContactBusy(candidate: Candidate, line: Line, pace: Pace, startMs: number): boolean {
  const count = line.load.recipientCount(candidate.priority, candidate.recipient);
  const fromMs = Math.max(startMs, pace.recipientFreeMs(candidate.recipient), candidate.nextMs);
  return fromMs + count * pace.recipientStepMs(TEXT_LENGTH_MAX) >= candidate.expiresMs;
}

function leavesAtMs(
  candidate: Candidate,
  before: readonly InLine[],
  pace: Pace,
  startMs: number,
): number {
  let phoneFreeMs = startMs;
  let recipientFreeMs = pace.recipientFreeMs(candidate.recipient);
  for (const { nextMs, recipient, textLength } of before) {
    if (recipient === candidate.recipient) {
      const sentMs = Math.max(recipientFreeMs, phoneFreeMs, nextMs);
      recipientFreeMs = sentMs + pace.recipientStepMs(textLength);
    }
    phoneFreeMs = Math.max(phoneFreeMs, nextMs) + pace.meanStepMs(textLength);
  }
  const chanceMs = DEVIATIONS * STEP_DEVIATION_MS * Math.sqrt(before.length);
  return Math.max(phoneFreeMs + chanceMs, recipientFreeMs, candidate.nextMs);
}
