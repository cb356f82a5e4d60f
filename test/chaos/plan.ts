/**
 * What goes wrong, when, and to whom: a pure function of the seed. Knows no process and no clock; faults.ts carries it
 * out. Kills come at their own pace; between them every other kind of fault comes once before any comes again.
 */
import { Chance } from "./chance.ts";

export const HOSTS = 3;
export const ACCOUNTS = 10;
/** WhatsApp's code 463 meets these only: to whom it happens, new chats are closed, so they write to no strangers. */
export const RESTRICTED_ACCOUNTS = 3;

type Victim = "host" | "account" | "everybody";

interface Shape {
  of: Victim;
  /** How long it lasts, or until what was killed is started again. */
  forMs: readonly [least: number, most: number];
  codes: readonly number[];
}

const lasting = (
  of: Victim,
  least: number,
  most: number,
  codes: readonly number[] = [0],
): Shape => ({
  of,
  forMs: [least, most],
  codes,
});

/** kill -9. */
const KILLS = {
  host_killed: lasting("host", 0, 4_000),
  worker_killed: lasting("everybody", 0, 0),
} as const;

const OTHERS = {
  /** SIGTERM, as a rolling deploy does. */
  host_stopped: lasting("host", 0, 3_000),
  /** Shorter and longer than a lease, and than the Fleet's patience. */
  host_frozen: lasting("host", 1_000, 14_000),
  /** The Worker stops in order and a new bundle takes its place; every socket is dropped. */
  worker_redeployed: lasting("everybody", 0, 0),
  worker_frozen: lasting("everybody", 500, 6_000),
  bridge_cut: lasting("host", 0, 8_000),
  /** Sockets stay open, nothing passes. */
  bridge_silent: lasting("host", 1_000, 12_000),
  whatsapp_dropped: lasting("account", 0, 0),
  whatsapp_closed: lasting("account", 0, 0),
  whatsapp_error: lasting("account", 0, 0, [500, 503, 515]),
  whatsapp_replaced: lasting("account", 0, 0, [440]),
  whatsapp_slow_login: lasting("account", 1_000, 5_000),
  whatsapp_login_refused: lasting("account", 0, 0, [500, 503]),
  whatsapp_upgrade_refused: lasting("account", 0, 0, [503]),
  /** WhatsApp reads nothing of what the phone says. */
  whatsapp_deaf: lasting("account", 1_000, 6_000),
  /** Delivered, never acknowledged. */
  ack_lost: lasting("account", 0, 0),
  /** Neither delivered nor acknowledged. */
  text_swallowed: lasting("account", 0, 0),
  ack_late: lasting("account", 1_000, 6_000),
  text_refused: lasting("account", 0, 0, [463, 479, 500]),
  /** A contact's phone loses its sessions and asks for texts again. */
  contact_forgets: lasting("account", 0, 0),
  /** What a contact writes next does not open at first. */
  contact_garbled: lasting("account", 0, 0),
  prekeys_gone: lasting("account", 0, 0),
  /** Somebody claims to have read, or not to have been able to read, what was sent to another. */
  receipt_forged: lasting("account", 0, 0),
  receiver_down: lasting("everybody", 500, 8_000),
  receiver_error: lasting("everybody", 500, 8_000, [500]),
  receiver_hangs: lasting("everybody", 500, 8_000),
  receiver_closes: lasting("everybody", 500, 8_000),
} as const;

export type KillKind = keyof typeof KILLS;
export type FaultKind = KillKind | keyof typeof OTHERS;

export interface Fault {
  kind: FaultKind;
  /** Which host or account; 0 where it meets everybody. */
  target: number;
  forMs: number;
  code: number;
}

export interface Step {
  /** From the beginning of the trouble. */
  atMs: number;
  fault: Fault;
}

export interface PlanOptions {
  seed: number;
  kills: number;
  /** Between two kills, on average. */
  gapMs: number;
  /** Other faults for each kill. */
  othersPerKill: number;
}

const WORKER_SHARE = 0.12;

export function planFaults({ seed, kills, gapMs, othersPerKill }: PlanOptions): Step[] {
  const chance = new Chance(seed, "faults");
  const turns = new Map<FaultKind, number>();
  const deck = endlessDeck(chance);
  let replaced = 0;
  const steps: Step[] = [];
  let atMs = 0;
  for (let kill = 0; kill < kills; kill += 1) {
    const lengthMs = gapMs * (0.5 + chance.next());
    for (let other = 0; other < othersPerKill; other += 1) {
      const { value } = deck.next();
      if (value === "whatsapp_replaced") replaced += 1;
      // Being replaced again stops a phone for good, as it should: only once each.
      const kind = value === "whatsapp_replaced" && replaced > ACCOUNTS ? "whatsapp_closed" : value;
      steps.push({ atMs: atMs + lengthMs * chance.next(), fault: draw(chance, turns, kind) });
    }
    atMs += lengthMs;
    const isWorker = chance.happens(WORKER_SHARE);
    const fault = draw(chance, turns, isWorker ? "worker_killed" : "host_killed");
    steps.push({ atMs, fault });
  }
  return steps
    .map((step) => ({ ...step, atMs: Math.round(step.atMs) }))
    .toSorted((one, other) => one.atMs - other.atMs);
}

export function isKill(kind: FaultKind): kind is KillKind {
  return kind in KILLS;
}

export function faultKinds(): FaultKind[] {
  return Object.keys({ ...KILLS, ...OTHERS }) as FaultKind[];
}

function* endlessDeck(chance: Chance): Generator<FaultKind, never> {
  for (;;) yield* chance.shuffled(Object.keys(OTHERS) as (keyof typeof OTHERS)[]);
}

/** Accounts take turns within a kind. */
function draw(chance: Chance, turns: Map<FaultKind, number>, kind: FaultKind): Fault {
  const shape: Shape = { ...KILLS, ...OTHERS }[kind];
  const [least, most] = shape.forMs;
  const turn = turns.get(kind) ?? chance.whole(0, ACCOUNTS - 1);
  turns.set(kind, turn + 1);
  const code = chance.pick(shape.codes);
  const accounts = code === 463 ? RESTRICTED_ACCOUNTS : ACCOUNTS;
  const target = {
    host: () => chance.whole(0, HOSTS - 1),
    account: () => turn % accounts,
    everybody: () => 0,
  }[shape.of]();
  return { kind, target, forMs: chance.whole(least, most), code };
}
