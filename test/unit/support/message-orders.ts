/**
 * A message and everything that can happen to it, in any order: the steps of the graph that evidence-orders.test.ts
 * walks. The product's own functions take each step; beside them stands a witness that only counts. Times are ages in
 * classes inside which no rule may tell one from another, and an ended message has none: every step checks that, by
 * being taken at both ends. Holds no expectations.
 */
import {
  type EvidenceEvent,
  isEnded,
  judge,
  type LinkFacts,
  NO_ACKNOWLEDGEMENT_AFTER_MS,
  NO_ACKNOWLEDGEMENT_LATEST_MS,
  type Note,
  RETRY_AFTER_MS,
} from "../../../src/device/evidence.ts";
import {
  emptyRow,
  factsOf,
  isNameless,
  type MessageRow,
  newRow,
  patchFor,
  patchForBooks,
} from "../../../src/device/message-row.ts";

const NOW_MS = 1_800_000_000_000;
const FOREVER_MS = 90 * 24 * 3_600_000;

export const ages = ["fresh", "waiting", "day", "two_days"] as const;
export type Age = (typeof ages)[number];

const AGE_MS: Record<Age, { low: number; high: number }> = {
  fresh: { low: 1, high: RETRY_AFTER_MS - 1 },
  waiting: { low: RETRY_AFTER_MS, high: NO_ACKNOWLEDGEMENT_AFTER_MS - 1 },
  day: { low: NO_ACKNOWLEDGEMENT_AFTER_MS, high: NO_ACKNOWLEDGEMENT_LATEST_MS - 1 },
  two_days: { low: NO_ACKNOWLEDGEMENT_LATEST_MS, high: FOREVER_MS },
};

/** What happened, counted by somebody who knows no rules. */
export interface Witness {
  /** Key commits that were recorded: copies that may be on the wire. */
  copies: number;
  /** A good acknowledgement or a receipt came for a copy. */
  isProved: boolean;
  /** Movements in the books beside the hold, in their order. */
  booked: readonly string[];
}

export interface Node {
  /** Without its times, which are the ages below. */
  row: MessageRow;
  /** Since the first and the last hand-over that counts. */
  first: Age | null;
  last: Age | null;
  lifeIsOver: boolean;
  /** The backlog of a connection was through after the first, and after the last hand-over. */
  drainedSinceFirst: boolean;
  drainedSinceLast: boolean;
  /** The phone was paired anew since the message was taken. */
  isOtherPairing: boolean;
  seen: Witness;
}

export interface Step {
  by: string;
  to: Node;
  note: Note | null;
  /** The evidence that was judged; null for what only moves time, the phone or the books. */
  event: EvidenceEvent | null;
}

const MESSAGE = {
  id: 1,
  nonce: "n",
  to: "6281234567890",
  text: "",
  category: "notification" as const,
  priceRupiah: 100,
  periodId: 1,
  acceptedMs: NOW_MS,
  dueMs: NOW_MS,
  expiresMs: NOW_MS,
};

/** Before a hand-over, and after the end. */
const TIMELESS: Omit<Node, "row" | "seen"> = {
  first: null,
  last: null,
  lifeIsOver: false,
  drainedSinceFirst: false,
  drainedSinceLast: false,
  isOtherPairing: false,
};

function beginning(row: MessageRow): Node {
  const seen = { copies: 0, isProved: false, booked: [] };
  return { row: { ...row, expiresMs: 0 }, ...TIMELESS, seen };
}

/** A message that was taken over, one of Kabar's own, and an id that was withdrawn before its message came. */
export function beginnings(): Node[] {
  const nameless = emptyRow(1, "n", NOW_MS, 1);
  const withdrawn = { kind: "withdrawn", reason: "abandoned" } as const;
  const { changes } = judge(factsOf(nameless), withdrawn, NOW_MS);
  return [
    beginning(newRow(MESSAGE, 1)),
    beginning(newRow({ ...MESSAGE, id: -1 }, 1)),
    beginning({ ...nameless, ...patchFor(nameless, changes ?? {}, {}, NOW_MS) }),
  ];
}

type End = "low" | "high";

/** An ended message at the two ends of everything that time and the phone can be. */
const NO_MATTER: Record<End, Partial<Node>> = {
  low: { first: "fresh", last: "fresh", drainedSinceFirst: true, drainedSinceLast: true },
  high: { first: "two_days", last: "two_days", lifeIsOver: true, isOtherPairing: true },
};

/** The message and the phone's connection at one end of the classes. */
function concrete(at: Node, end: End): { row: MessageRow; link: LinkFacts } {
  const node = isEnded(at.row.state) ? { ...at, ...NO_MATTER[end] } : at;
  const { first, last, drainedSinceFirst, drainedSinceLast } = node;
  // Where the backlog was drained between the two, they must be apart.
  const isBetween = drainedSinceFirst && !drainedSinceLast;
  const lastMs = last === null ? null : NOW_MS - AGE_MS[last][isBetween ? "low" : end];
  const firstMs = first === null ? null : NOW_MS - AGE_MS[first][isBetween ? "high" : end];
  const drainedMs = drainedSinceLast ? NOW_MS : isBetween ? (lastMs ?? NOW_MS) - 1 : null;
  return {
    row: {
      ...node.row,
      firstHandoverMs: firstMs,
      lastHandoverMs: lastMs,
      expiresMs: node.lifeIsOver ? NOW_MS : NOW_MS + (end === "low" ? 1 : FOREVER_MS),
    },
    link: { generation: node.isOtherPairing ? 2 : 1, drainedMs },
  };
}

/** The ages after a change that moved hand-overs. */
type Times = Partial<Omit<Node, "row" | "seen">>;

function judged(
  node: Node,
  by: string,
  eventOf: (link: LinkFacts) => EvidenceEvent,
  times: (node: Node) => Times = () => ({}),
): Step[] {
  const outcomes = (["low", "high"] as const).map((end) => {
    const { row, link } = concrete(node, end);
    const event = eventOf(link);
    const { changes, note } = judge(factsOf(row), event, NOW_MS);
    const patch = changes === null ? null : patchFor(row, changes, {}, NOW_MS);
    return { event, changes, note, patch };
  });
  const [low, high] = outcomes;
  if (low === undefined || JSON.stringify(low) !== JSON.stringify({ ...high, event: low.event })) {
    throw new Error(`the ends of a class differ: ${by} at ${JSON.stringify(node)}`);
  }
  const { event, changes, note, patch } = low;
  const to: Node = {
    ...node,
    row: { ...node.row, ...patch },
    ...(changes === null ? {} : times(node)),
    seen: witnessed(node.seen, event, changes !== null),
  };
  return [{ by, to: isEnded(to.row.state) ? { ...to, ...TIMELESS } : to, note, event }];
}

function witnessed(seen: Witness, event: EvidenceEvent, isTaken: boolean): Witness {
  if (event.kind === "committed" && isTaken) return { ...seen, copies: seen.copies + 1 };
  const isProof = event.kind === "acknowledged" || event.kind === "receipt";
  return isProof && seen.copies > 0 ? { ...seen, isProved: true } : seen;
}

function handedOver(node: Node): Times {
  return {
    first: node.first ?? "fresh",
    last: "fresh",
    drainedSinceFirst: node.first === null ? false : node.drainedSinceFirst,
    drainedSinceLast: false,
  };
}

function takenBack(node: Node): Times {
  if (node.row.committedAttempt === 0) return { first: null };
  return { last: node.first, drainedSinceLast: node.drainedSinceFirst };
}

const WITHDRAWN = [
  "cancelled_by_customer",
  "cancelled_by_operator",
  "abandoned",
  "device_repaired",
  "device_deleted",
  "stale",
  "queue_too_long",
] as const;

/** Evidence in every form it can take. */
function evidence(node: Node): Step[] {
  const at = (by: string, event: EvidenceEvent, times?: (node: Node) => Times): Step[] =>
    judged(node, by, () => event, times);
  return [
    ...WITHDRAWN.flatMap((reason) => at(reason, { kind: "withdrawn", reason })),
    ...(["opted_out", "suspended", "banned"] as const).flatMap((reason) =>
      at(reason, { kind: "barred", reason }),
    ),
    ...judged(node, "handed over", (link) => ({ kind: "handed_over", link }), handedOver),
    ...at("epoch closed", { kind: "epoch_closed" }, takenBack),
    ...[1, 2].flatMap((attempt) => [
      ...at(`attempt ${attempt} not sent`, { kind: "not_sent", attempt }, takenBack),
      ...at(`attempt ${attempt} not registered`, { kind: "not_registered", attempt }),
      ...at(`attempt ${attempt} committed`, { kind: "committed", attempt }),
    ]),
    ...at("acknowledged", { kind: "acknowledged" }),
    ...at("refused 463", { kind: "refused", code: 463 }),
    ...at("refused 479", { kind: "refused", code: 479 }),
    ...(["sender", "delivered", "read"] as const).flatMap((proof) =>
      at(`receipt ${proof}`, { kind: "receipt", proof }),
    ),
    ...judged(node, "clock", (link) => ({ kind: "clock", link })),
    ...at("enqueued again", { kind: "enqueued_again" }),
  ];
}

/** Each age may pass into its next class, the first hand-over never being the younger; more time is more steps. */
function timePasses(node: Node): Step[] {
  const { first, last } = node;
  const steps: Node[] = [{ ...node, lifeIsOver: true }];
  const firstThen = first === null ? undefined : ages[ages.indexOf(first) + 1];
  const lastThen = last === null ? undefined : ages[ages.indexOf(last) + 1];
  if (firstThen !== undefined) steps.push({ ...node, first: firstThen });
  if (lastThen !== undefined && last !== first) steps.push({ ...node, last: lastThen });
  if (firstThen !== undefined && last === first) {
    steps.push({ ...node, first: firstThen, last: firstThen });
  }
  return steps.map((to) => moved("time passes", to));
}

function moved(by: string, to: Node): Step {
  return { by, to, note: null, event: null };
}

function phone(node: Node): Step[] {
  const drained = { drainedSinceFirst: node.first !== null, drainedSinceLast: node.last !== null };
  const steps = [
    moved("backlog drained", { ...node, ...drained }),
    moved("paired anew", { ...node, isOtherPairing: true }),
  ];
  if (node.row.state !== "queued") return steps;
  return [...steps, moved("waiting ones moved on", { ...node, isOtherPairing: false })];
}

/** What a flush writes and reads back, and the message behind an id that was withdrawn first. */
function books(node: Node): Step[] {
  const { row, seen } = node;
  if (isNameless(row)) {
    const { nonce, to: recipient } = MESSAGE;
    const known = { nonce, recipient };
    const patch = patchFor({ ...row, ...known }, { moneyDirty: true, statusDirty: true }, known, 0);
    return [moved("its message comes", { ...node, row: { ...row, ...patch } })];
  }
  if (row.moneyDirty === 0 && row.statusDirty === 0) return [];
  const written = row.moneyDirty === 1 ? movementsOf(row) : [];
  const fresh = written.filter((movement) => !seen.booked.includes(movement));
  const level = patchForBooks(row, { moneyDirty: 0, statusDirty: 0 });
  const booked = [...seen.booked, ...fresh];
  return [moved("books told", { ...node, row: { ...row, ...level }, seen: { ...seen, booked } })];
}

function movementsOf({ money }: MessageRow): string[] {
  switch (money) {
    case "settled":
      return ["settle"];
    case "voided":
      return ["void"];
    // A refund brings the settlement along that it tells of.
    case "refunded":
      return ["settle", "refund"];
    case "held":
    case "free":
      return [];
  }
}

/** Everything that can happen next. */
export function stepsFrom(node: Node): Step[] {
  if (isEnded(node.row.state)) return [...evidence(node), ...books(node)];
  return [...evidence(node), ...timePasses(node), ...phone(node)];
}

/** Only time passes, as far as it can: a host loses what it keeps, and the clock is heard. */
export function afterTimeAlone(node: Node): Node {
  const isInHand = !isEnded(node.row.state) && node.row.attempts > node.row.committedAttempt;
  const late: Node = {
    ...node,
    first: node.first === null ? null : "two_days",
    last: node.last === null ? null : "two_days",
    lifeIsOver: true,
  };
  const steps = (at: Node, by: string): Node =>
    evidence(at).find((step) => step.by === by)?.to ?? at;
  return steps(isInHand ? steps(late, "epoch closed") : late, "clock");
}
