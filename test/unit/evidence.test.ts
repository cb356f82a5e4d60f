/** The evidence table: every state against every event, and the promises that hold for all of them. */
import { describe, expect, it } from "vitest";
import {
  type EvidenceEvent,
  isEnded,
  judge,
  type LinkFacts,
  mayTryAgain,
  type MessageFacts,
  messageStates,
  type MessageState,
  NO_ACKNOWLEDGEMENT_AFTER_MS,
  NO_ACKNOWLEDGEMENT_LATEST_MS,
  RETRY_AFTER_MS,
  statusOf,
} from "../../src/device/evidence.ts";
import { mayRise } from "../../src/domain/message-status.ts";

const NOW_MS = 1_800_000_000_000;
const HOUR_MS = 3_600_000;
const LINK: LinkFacts = { generation: 2, drainedMs: NOW_MS - 1_000 };

function facts(state: MessageState, over: Partial<MessageFacts> = {}): MessageFacts {
  const base: MessageFacts = {
    state,
    reason: null,
    money: "held",
    attempts: 0,
    committedAttempt: 0,
    attemptsClosed: false,
    firstHandoverMs: null,
    lastHandoverMs: null,
    expiresMs: NOW_MS + HOUR_MS,
    generation: 2,
  };
  const handed = { attempts: 1, firstHandoverMs: NOW_MS - 90_000, lastHandoverMs: NOW_MS - 90_000 };
  switch (state) {
    case "queued":
      return { ...base, ...over };
    case "handing":
      return { ...base, ...handed, ...over };
    case "maybe_sent":
      return { ...base, ...handed, committedAttempt: 1, ...over };
    case "sent":
    case "received":
    case "read":
      return { ...base, ...handed, committedAttempt: 1, money: "settled", ...over };
    case "cancel":
      return { ...base, money: "voided", reason: "expired", ...over };
    case "reject":
      return {
        ...base,
        ...handed,
        committedAttempt: 1,
        money: "voided",
        reason: "banned",
        ...over,
      };
    default:
      return state satisfies never;
  }
}

const events: Record<string, EvidenceEvent> = {
  cancel: { kind: "withdrawn", reason: "cancelled_by_customer" },
  abandon: { kind: "withdrawn", reason: "abandoned" },
  "opted out": { kind: "barred", reason: "opted_out" },
  banned: { kind: "barred", reason: "banned" },
  "hand-over": { kind: "handed_over", link: LINK },
  "not sent": { kind: "not_sent", attempt: 1 },
  "epoch closed": { kind: "epoch_closed" },
  "not registered": { kind: "not_registered", attempt: 1 },
  commit: { kind: "committed", attempt: 1 },
  "second commit": { kind: "committed", attempt: 2 },
  ack: { kind: "acknowledged" },
  "error 479": { kind: "refused", code: 479 },
  "error 463": { kind: "refused", code: 463 },
  "own phone": { kind: "receipt", proof: "sender" },
  delivered: { kind: "receipt", proof: "delivered" },
  read: { kind: "receipt", proof: "read" },
  clock: { kind: "clock", link: LINK },
  again: { kind: "enqueued_again" },
};

/** What each event makes of each state, in one line; a missing pair changes nothing. */
const table: Record<MessageState, Record<string, string>> = {
  queued: {
    cancel: "cancel cancelled_by_customer voided",
    abandon: "cancel abandoned voided",
    "opted out": "reject opted_out voided",
    banned: "reject banned voided",
    "hand-over": "handing - held",
    commit: "! unexpected",
    "second commit": "! unexpected",
    ack: "! unexpected",
    "error 479": "! unexpected",
    "error 463": "! unexpected",
    "own phone": "! unexpected",
    delivered: "! unexpected",
    read: "! unexpected",
  },
  handing: {
    "opted out": "reject opted_out voided",
    banned: "reject banned voided",
    "not sent": "queued - held",
    "epoch closed": "queued - held",
    "not registered": "reject not_on_whatsapp voided",
    commit: "maybe_sent - held",
    "second commit": "! unexpected",
    ack: "! unexpected",
    "error 479": "! unexpected",
    "error 463": "! unexpected",
    "own phone": "! unexpected",
    delivered: "! unexpected",
    read: "! unexpected",
  },
  maybe_sent: {
    "hand-over": "maybe_sent - held",
    commit: "! unexpected",
    "second commit": "! unexpected",
    ack: "sent - settled",
    "error 479": "reject refused_by_whatsapp voided",
    "error 463": "reject account_restricted voided",
    "own phone": "sent - settled",
    delivered: "received - settled",
    read: "read - settled",
  },
  sent: {
    commit: "! unexpected",
    "second commit": "! unexpected",
    "error 479": "reject refused_by_whatsapp refunded",
    "error 463": "reject account_restricted refunded",
    delivered: "received - settled",
    read: "read - settled",
    again: "sent - settled",
  },
  received: {
    commit: "! unexpected",
    "second commit": "! unexpected",
    "error 479": "! late_error",
    "error 463": "! late_error",
    read: "read - settled",
    again: "received - settled",
  },
  read: {
    commit: "! unexpected",
    "second commit": "! unexpected",
    "error 479": "! late_error",
    "error 463": "! late_error",
    again: "read - settled",
  },
  cancel: {
    commit: "! unexpected",
    "second commit": "! unexpected",
    ack: "! late_proof",
    "own phone": "! late_proof",
    delivered: "! late_proof",
    read: "! late_proof",
    again: "cancel expired voided",
  },
  reject: {
    commit: "! unexpected",
    "second commit": "! unexpected",
    ack: "! late_proof",
    "own phone": "! late_proof",
    delivered: "! late_proof",
    read: "! late_proof",
    again: "reject banned voided",
  },
};

function told(before: MessageFacts, event: EvidenceEvent): string {
  const { changes, note } = judge(before, event, NOW_MS);
  if (changes === null) return note === null ? "same" : `! ${note}`;
  const after = { ...before, ...changes };
  return `${after.state} ${after.reason ?? "-"} ${after.money}`;
}

describe("the table", () => {
  for (const state of messageStates) {
    for (const [name, event] of Object.entries(events)) {
      const expected = table[state][name] ?? "same";
      it(`${state} + ${name} -> ${expected}`, () => {
        expect(told(facts(state), event)).toBe(expected);
      });
    }
  }
});

/** Every combination that could be stored, reachable or not. */
function* everyMessage(): Generator<MessageFacts> {
  for (const state of messageStates) {
    for (const money of ["held", "settled", "voided", "refunded", "free"] as const) {
      for (const [attempts, committedAttempt] of [
        [0, 0],
        [1, 0],
        [1, 1],
        [2, 1],
        [2, 2],
      ] as const) {
        for (const attemptsClosed of [false, true]) {
          for (const ageMs of [
            0,
            RETRY_AFTER_MS,
            NO_ACKNOWLEDGEMENT_AFTER_MS,
            NO_ACKNOWLEDGEMENT_LATEST_MS,
          ]) {
            for (const expiresMs of [NOW_MS - 1, NOW_MS + HOUR_MS]) {
              for (const generation of [1, 2]) {
                const handoverMs = attempts === 0 ? null : NOW_MS - ageMs;
                yield {
                  ...facts(state),
                  money,
                  attempts,
                  committedAttempt,
                  attemptsClosed,
                  firstHandoverMs: handoverMs,
                  lastHandoverMs: handoverMs,
                  expiresMs,
                  generation,
                };
              }
            }
          }
        }
      }
    }
  }
}

describe("for every message and every event", () => {
  const cases = [...everyMessage()].flatMap((before) =>
    Object.values(events).map((event) => ({ before, event, ...judge(before, event, NOW_MS) })),
  );

  it("covers some thousands of pairs", () => {
    expect(cases.length).toBeGreaterThan(20_000);
  });

  it("a status never falls, but for a charged message that is refused", () => {
    for (const { before, event, changes } of cases) {
      if (changes?.state === undefined) continue;
      const [from, to] = [statusOf(before.state), statusOf(changes.state)];
      if (from === to) continue;
      const isLateRefusal = before.state === "sent" && event.kind === "refused" && to === "reject";
      expect(mayRise(from, to) || isLateRefusal, `${from} -> ${to} by ${event.kind}`).toBe(true);
    }
  });

  it("an ended message never opens again", () => {
    const reopened = cases.filter(
      ({ before, changes }) =>
        changes?.state !== undefined && isEnded(before.state) && !isEnded(changes.state),
    );
    expect(reopened).toEqual([]);
  });

  it("money moves only with the end it belongs to, and is then told to the books", () => {
    for (const { before, changes } of cases) {
      if (changes?.money === undefined) continue;
      expect(changes.moneyDirty).toBe(true);
      expect(changes.statusDirty).toBe(true);
      if (changes.money === "settled")
        expect(["sent", "received", "read"]).toContain(changes.state);
      if (changes.money === "voided") expect(["cancel", "reject"]).toContain(changes.state);
      if (changes.money === "refunded") expect(before.state).toBe("sent");
    }
  });

  it("a text of Kabar's own never touches money", () => {
    for (const { before, changes } of cases) {
      if (before.money !== "free" || changes === null) continue;
      expect(changes.money).toBeUndefined();
      expect(changes.moneyDirty).toBeUndefined();
    }
  });

  it("nothing reaches the wire but by a commit of the attempt in hand", () => {
    for (const { before, event, changes } of cases) {
      if (changes?.state === "maybe_sent" || changes?.committedAttempt !== undefined) {
        expect(event.kind).toBe("committed");
        expect(before.attempts).toBe(before.committedAttempt + 1);
      }
    }
  });

  it("there is no third attempt", () => {
    for (const { changes } of cases) expect(changes?.attempts ?? 0).toBeLessThanOrEqual(2);
  });
});

describe("a second attempt", () => {
  const waiting = facts("maybe_sent", { lastHandoverMs: NOW_MS - RETRY_AFTER_MS });

  it("goes after a minute, a reconnect and the drained backlog", () => {
    expect(mayTryAgain(waiting, LINK, NOW_MS)).toBe(true);
  });

  it.each<[string, Partial<MessageFacts>, Partial<LinkFacts>]>([
    ["before a minute has passed", { lastHandoverMs: NOW_MS - RETRY_AFTER_MS + 1 }, {}],
    ["without a drained backlog", {}, { drainedMs: null }],
    ["when the backlog drained before the hand-over", {}, { drainedMs: NOW_MS - RETRY_AFTER_MS }],
    ["under another pairing", { generation: 1 }, {}],
    ["after its life is over", { expiresMs: NOW_MS }, {}],
    ["as a third attempt", { attempts: 2, committedAttempt: 2 }, {}],
    ["while one is in a host's hands", { attempts: 2, committedAttempt: 1 }, {}],
    ["after an error answered", { attemptsClosed: true }, {}],
  ])("does not go %s", (_when, message, link) => {
    expect(mayTryAgain({ ...waiting, ...message }, { ...LINK, ...link }, NOW_MS)).toBe(false);
  });

  it("that never left is taken back, and the first still counts", () => {
    const inHand = facts("maybe_sent", { attempts: 2, committedAttempt: 1 });
    expect(judge(inHand, { kind: "epoch_closed" }, NOW_MS).changes).toEqual({ attempts: 1 });
    expect(judge(inHand, { kind: "not_sent", attempt: 2 }, NOW_MS).changes).toEqual({
      attempts: 1,
    });
    expect(judge(inHand, { kind: "not_sent", attempt: 1 }, NOW_MS).changes).toBeNull();
  });

  it("may still be committed when the proof of the first came while it was in the host's hands", () => {
    for (const state of ["sent", "received", "read"] as const) {
      const proved = facts(state, { attempts: 2, committedAttempt: 1 });
      expect(judge(proved, { kind: "committed", attempt: 2 }, NOW_MS)).toEqual({
        changes: { committedAttempt: 2 },
        note: null,
      });
    }
  });

  it("answered by an error ends all attempts and leaves the end to time", () => {
    const second = facts("maybe_sent", { attempts: 2, committedAttempt: 2 });
    expect(judge(second, { kind: "refused", code: 463 }, NOW_MS)).toEqual({
      changes: { attemptsClosed: true },
      note: "second_error",
    });
  });

  it("answered by an error takes nothing from a first that was acknowledged", () => {
    const acknowledged = facts("sent", { attempts: 2, committedAttempt: 2 });
    expect(judge(acknowledged, { kind: "refused", code: 463 }, NOW_MS)).toEqual({
      changes: null,
      note: "late_error",
    });
  });

  it("still in a host's hands does not keep a refused first one open", () => {
    const inHand = facts("maybe_sent", { attempts: 2, committedAttempt: 1 });
    expect(told(inHand, { kind: "refused", code: 463 })).toBe("reject account_restricted voided");
    const proved = facts("sent", { attempts: 2, committedAttempt: 1 });
    expect(told(proved, { kind: "refused", code: 463 })).toBe("reject account_restricted refunded");
  });
});

describe("time", () => {
  it("expires what still waits", () => {
    const late = facts("queued", { expiresMs: NOW_MS });
    expect(told(late, { kind: "clock", link: LINK })).toBe("cancel expired voided");
    expect(judge(late, { kind: "handed_over", link: LINK }, NOW_MS).changes).toBeNull();
  });

  const unproved = (waitedMs: number, drainedMs: number | null): string => {
    const handoverMs = NOW_MS - waitedMs;
    const message = facts("maybe_sent", {
      firstHandoverMs: handoverMs,
      lastHandoverMs: handoverMs,
    });
    return told(message, { kind: "clock", link: { generation: 2, drainedMs } });
  };

  it("rejects after 24 hours once the backlog was drained", () => {
    expect(unproved(NO_ACKNOWLEDGEMENT_AFTER_MS, NOW_MS)).toBe("reject no_acknowledgement voided");
    expect(unproved(NO_ACKNOWLEDGEMENT_AFTER_MS - 1, NOW_MS)).toBe("same");
  });

  it("waits for a backlog for 48 hours at most", () => {
    expect(unproved(NO_ACKNOWLEDGEMENT_AFTER_MS, null)).toBe("same");
    expect(unproved(NO_ACKNOWLEDGEMENT_LATEST_MS, null)).toBe("reject no_acknowledgement voided");
  });

  it("does not hand a message over under another pairing", () => {
    const old = facts("queued", { generation: 1 });
    expect(judge(old, { kind: "handed_over", link: LINK }, NOW_MS).changes).toBeNull();
  });
});
