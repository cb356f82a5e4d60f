/**
 * Every order of everything that can happen to a message: the whole graph of reachable states, walked breadth first to
 * its end, with the promises checked on each step. A failure shows the shortest history that breaks a promise.
 */
import { describe, expect, it } from "vitest";
import { isEnded, messageStates, statusOf } from "../../src/device/evidence.ts";
import { isNameless, OPEN_UNSETTLED, OPEN_WAITING } from "../../src/device/message-row.ts";
import { mayRise } from "../../src/domain/message-status.ts";
import {
  afterTimeAlone,
  beginnings,
  type Node,
  type Step,
  stepsFrom,
} from "./support/message-orders.ts";

interface Reached {
  node: Node;
  cameBy: { from: Reached; by: string } | null;
  next: { step: Step; to: Reached }[];
}

const reached = walk();
const edges = reached.flatMap((from) => from.next.map(({ step, to }) => ({ from, step, to })));

function walk(): Reached[] {
  const known = new Map<string, Reached>();
  const all: Reached[] = [];
  const arrive = (node: Node, cameBy: Reached["cameBy"]): Reached => {
    const key = JSON.stringify(node);
    const before = known.get(key);
    if (before !== undefined) return before;
    const here = { node, cameBy, next: [] };
    known.set(key, here);
    all.push(here);
    return here;
  };
  for (const node of beginnings()) arrive(node, null);
  // What is found on the way is appended, and walked in its turn.
  for (const from of all) {
    for (const step of stepsFrom(from.node)) {
      from.next.push({ step, to: arrive(step.to, { from, by: step.by }) });
    }
  }
  return all;
}

function then(from: Reached, by: string): Reached {
  return from.next.find(({ step }) => step.by === by)?.to ?? from;
}

function isUnsent(state: Node["row"]["state"]): boolean {
  return state === "cancel" || state === "reject";
}

function historyOf(at: Reached): string[] {
  return at.cameBy === null ? [] : [...historyOf(at.cameBy.from), at.cameBy.by];
}

/** Of the edges that break it, the one with the shortest history. */
function expectOnEveryStep(holds: (from: Node, step: Step) => boolean): void {
  const broken = edges.find(({ from, step }) => !holds(from.node, step));
  const story = broken && [
    ...historyOf(broken.from),
    broken.step.by,
    JSON.stringify(broken.step.to),
  ];
  expect(story).toBeUndefined();
}

function expectInEveryState(holds: (node: Node) => boolean): void {
  const broken = reached.find(({ node }) => !holds(node));
  expect(broken && [...historyOf(broken), JSON.stringify(broken.node)]).toBeUndefined();
}

describe("in every order", () => {
  it("all states and all events are met", () => {
    const states = new Set(reached.map(({ node }) => node.row.state));
    expect([...states].toSorted()).toEqual([...messageStates].toSorted());
    const pairs = new Set(edges.map(({ from, step }) => `${from.node.row.state} ${step.by}`));
    const evidence = new Set(
      edges.filter(({ step }) => step.event !== null).map(({ step }) => step.by),
    );
    for (const state of messageStates) {
      for (const by of evidence) expect(pairs.has(`${state} ${by}`), `${state} ${by}`).toBe(true);
    }
    console.info(`evidence graph: ${reached.length} states, ${edges.length} steps`);
    expect(reached.length).toBeGreaterThan(500);
  });

  it("a status never falls, but for a charged message that is refused", () => {
    expectOnEveryStep((from, { to, event }) => {
      const [before, after] = [statusOf(from.row.state), statusOf(to.row.state)];
      if (before === after || mayRise(before, after)) return true;
      return before === "sent" && after === "reject" && event?.kind === "refused";
    });
  });

  it("each status is told once, in the order of the history, under a revision that rises by one", () => {
    expectOnEveryStep(({ row: before }, { to: { row: after } }) => {
      const isNew = statusOf(before.state) !== statusOf(after.state);
      const told = (JSON.parse(after.history) as [string][]).map(([status]) => status);
      if (after.rev !== before.rev + Number(isNew)) return false;
      if (!isNew) return after.history === before.history;
      return told.at(-1) === statusOf(after.state) && new Set(told).size === told.length;
    });
  });

  it("the hold ends once: settled or voided, and a refund only follows a settlement", () => {
    expectInEveryState(({ seen: { booked } }) =>
      ["", "settle", "void", "settle refund"].includes(booked.join(" ")),
    );
  });

  it("a change of money is kept until the books were told", () => {
    expectOnEveryStep(({ row: before }, { to: { row: after } }) => {
      if (isNameless(before) || before.money === after.money) return true;
      return after.moneyDirty === 1 && after.open === OPEN_UNSETTLED;
    });
  });

  it("nothing is charged unless a copy may have left and was proved", () => {
    expectInEveryState(({ row, seen }) => {
      const isCharged = row.money === "settled" || seen.booked.includes("settle");
      return !isCharged || (seen.copies > 0 && seen.isProved);
    });
  });

  it("nothing is given back that was proved, but for a refusal of the only copy that left", () => {
    expectOnEveryStep((from, { to, event }) => {
      if (from.row.money === to.row.money) return true;
      if (to.row.money === "voided") return !from.seen.isProved;
      if (to.row.money === "refunded") return event?.kind === "refused" && from.seen.copies === 1;
      return true;
    });
  });

  it("a refusal of the only copy that left is final, also while a second attempt is in a host's hands", () => {
    expectOnEveryStep(({ row, seen }, { to, event }) => {
      if (event?.kind !== "refused" || seen.copies !== 1) return true;
      return row.state === "received" || row.state === "read" || isUnsent(to.row.state);
    });
  });

  it("a refusal while two copies may be out decides nothing", () => {
    expectOnEveryStep(({ row, seen }, { to, event }) => {
      if (event?.kind !== "refused" || seen.copies !== 2) return true;
      return to.row.state === row.state && to.row.money === row.money;
    });
  });

  it("a text of Kabar's own touches no money", () => {
    expectInEveryState(({ row, seen }) =>
      row.id > 0 ? row.money !== "free" : row.money === "free" && seen.booked.length === 0,
    );
  });

  it("at most two copies leave, the second only after the first, each by a commit of the attempt in hand", () => {
    expectInEveryState(({ row, seen }) => seen.copies <= 2 && seen.copies === row.committedAttempt);
    expectOnEveryStep(({ row, seen }, { to, event }) => {
      if (to.seen.copies === seen.copies) return true;
      const isInHand = row.attempts === row.committedAttempt + 1;
      return event?.kind === "committed" && event.attempt === row.attempts && isInHand;
    });
  });

  it("nothing leaves after an end; after a proof only what a host had in hand already", () => {
    expectOnEveryStep(({ row, seen }, { to }) => {
      if (to.seen.copies === seen.copies || !isEnded(row.state)) return true;
      return !isUnsent(row.state) && row.attempts === 2;
    });
    expectOnEveryStep(
      ({ row }, { by, to }) =>
        by !== "handed over" || !isEnded(row.state) || to.row.attempts === row.attempts,
    );
  });

  it("a message once handed over twice is handed over no more", () => {
    expectOnEveryStep(
      ({ row }, { to }) =>
        to.row.attempts <= 2 && (row.committedAttempt < 2 || to.row.attempts === 2),
    );
  });
});

describe("from every state", () => {
  it("time alone ends the message: its life, and 48 hours from its first hand-over", () => {
    expectInEveryState((node) => isEnded(afterTimeAlone(node).row.state));
  });

  it("what has not ended, or is not in the books, is looked after", () => {
    expectInEveryState(({ row }) => {
      if (row.state === "queued") return row.open === OPEN_WAITING;
      const isDone = isEnded(row.state) && row.moneyDirty === 0 && row.statusDirty === 0;
      return row.open === (isDone ? null : OPEN_UNSETTLED);
    });
  });

  it("evidence told twice changes no more than told once", () => {
    const repeatable = ["acknowledged", "refused", "receipt", "committed"];
    const different = edges.find(
      ({ step, to }) =>
        repeatable.includes(step.event?.kind ?? "") &&
        JSON.stringify(then(to, step.by).node.row) !== JSON.stringify(to.node.row),
    );
    expect(different && [...historyOf(different.to), different.step.by]).toBeUndefined();
  });

  it("proofs may come in any order", () => {
    const proofs = ["acknowledged", "receipt sender", "receipt delivered", "receipt read"];
    const ending = (from: Reached, one: string, other: string): string => {
      const { row } = then(then(from, one), other).node;
      return `${row.state} ${row.money}`;
    };
    const differing = reached.find((from) =>
      proofs.some((one) =>
        proofs.some((other) => ending(from, one, other) !== ending(from, other, one)),
      ),
    );
    expect(differing && historyOf(differing)).toBeUndefined();
  });
});
