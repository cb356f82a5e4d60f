/**
 * What the end of a session means for its phone: every reason a host can give, for every standing of the phone. The expected
 * answers are written down a second time, rule by rule.
 */
import { describe, expect, it } from "vitest";
import { closeReasons, type CloseReason } from "../../src/bridge/wire.ts";
import { keepsHost, verdictOnClose, type CloseFacts } from "../../src/device/session-close.ts";
import { pauseReasons } from "../../src/domain/pause-reason.ts";

const REASONS: readonly (CloseReason | null)[] = [...closeReasons, null];
const CLOSES_MAX = 5;

function everyFacts(): CloseFacts[] {
  const both = [true, false];
  return REASONS.flatMap((reason) =>
    both.flatMap((isPaired) =>
      both.flatMap((isUnlinking) =>
        both.flatMap((willRetry) =>
          both.flatMap((isAgainst) =>
            [0, 1, CLOSES_MAX - 1, CLOSES_MAX, CLOSES_MAX + 1].flatMap((closesCount) =>
              [0, CLOSES_MAX].map((closesMax) => ({
                reason,
                isPaired,
                isUnlinking,
                willRetry,
                isAgainst,
                closesCount,
                closesMax,
              })),
            ),
          ),
        ),
      ),
    ),
  );
}

/** The table of docs/operations.md, in words. */
function expected(facts: CloseFacts): string {
  const { reason, isPaired, isUnlinking, willRetry, isAgainst, closesCount, closesMax } = facts;
  if (isUnlinking) return "park unpaired";
  if (reason === "banned") return "park banned";
  if (!isPaired) {
    const mayStay: unknown[] = ["replaced", "lost", "stopped", null];
    return mayStay.includes(reason) ? "nothing" : "park unpaired";
  }
  if (reason === "logged_out") return "park logged_out";
  if (reason === "pairing_expired") return "nothing";
  if (reason === "blocked" || reason === "client_outdated" || reason === "store_error") {
    return `pause ${reason}`;
  }
  if (reason === "replaced" && !willRetry) return "pause replaced";
  const isTooOften = closesMax === CLOSES_MAX && closesCount >= CLOSES_MAX;
  return isAgainst && isTooOften ? "pause unstable" : "wait";
}

function shown(facts: CloseFacts): string {
  const verdict = verdictOnClose(facts);
  if (verdict.kind === "park") return `park ${verdict.status}`;
  return verdict.kind === "pause" ? `pause ${verdict.reason}` : verdict.kind;
}

describe("the end of a session", () => {
  it("means one thing for every reason and every standing of the phone", () => {
    const all = everyFacts();
    expect(all).toHaveLength(REASONS.length * 2 ** 4 * 5 * 2);
    expect(all.filter((facts) => shown(facts) !== expected(facts))).toEqual([]);
  });

  it("archives the keys of a paired phone for a log-out and a ban only", () => {
    const parked = everyFacts()
      .filter(({ isPaired, isUnlinking }) => isPaired && !isUnlinking)
      .filter((facts) => verdictOnClose(facts).kind === "park");
    expect(new Set(parked.map(({ reason }) => reason))).toEqual(new Set(["logged_out", "banned"]));
  });

  it("pauses for instability only what WhatsApp closed, and only at the limit", () => {
    for (const facts of everyFacts()) {
      if (shown(facts) !== "pause unstable") continue;
      expect(facts).toMatchObject({ isAgainst: true, isPaired: true, closesMax: CLOSES_MAX });
      expect(facts.closesCount).toBeGreaterThanOrEqual(CLOSES_MAX);
    }
  });

  it("leaves a paused phone its host only where the host is what must be mended", () => {
    const kept = pauseReasons.filter((reason) => keepsHost(reason));
    expect(kept).toEqual(["client_outdated", "store_error"]);
    expect(keepsHost(null)).toBe(true);
  });
});
