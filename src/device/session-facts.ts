/**
 * What the session of the current epoch does to its phone: trying, open, closed. Remembers what must outlive a host: when
 * connections were tried and closed. What a close means is decided in session-close.ts; here it is carried out.
 */
import type { Fact } from "../bridge/device-frames.ts";
import { ATTEMPTS_TOLD_MAX } from "../bridge/device-frames.ts";
import { logInfo } from "../domain/log.ts";
import { unreachable } from "../domain/result.ts";
import type { HandOver } from "./handover.ts";
import type { DeviceState, Identity } from "./identity.ts";
import { newRow } from "./message-row.ts";
import type { Outbox } from "./outbox.ts";
import type { Pace } from "./pace.ts";
import type { Pairing } from "./pairing.ts";
import { type Pausing, timesOf } from "./pausing.ts";
import type { Restriction } from "./restriction.ts";
import { verdictOnClose } from "./session-close.ts";

/** The greeting is pointless later. */
const GREETING_LIFE_MS = 3_600_000;
/** Older attempts are of no interest to the next host. */
const ATTEMPTS_WINDOW_MS = 600_000;

type SessionFact = Extract<Fact, { kind: "session" }>;

export interface SessionFactsParts {
  identity: Identity;
  outbox: Outbox;
  handOver: HandOver;
  pairing: Pairing;
  pausing: Pausing;
  pace: Pace;
  restriction: Restriction;
  /** How many closes by WhatsApp in an hour pause a phone; 0: none do. */
  closesMax: number;
}

/** How long ago the phone's last connections were tried. */
export function attemptsAgoMs(
  { attempts }: Pick<DeviceState, "attempts">,
  nowMs: number,
): number[] {
  return timesOf(attempts)
    .map((atMs) => nowMs - atMs)
    .filter((agoMs) => agoMs >= 0 && agoMs < ATTEMPTS_WINDOW_MS);
}

export class SessionFacts {
  readonly #parts: SessionFactsParts;

  constructor(parts: SessionFactsParts) {
    this.#parts = parts;
  }

  apply(fact: SessionFact, nowMs: number): void {
    const { identity } = this.#parts;
    const before = identity.state;
    identity.patch({ sessionEpoch: fact.state === "open" ? before.epoch : 0 });
    switch (fact.state) {
      case "open":
        this.#open(before, nowMs);
        return;
      case "connecting":
        this.#connecting(before, nowMs);
        return;
      case "closed":
        this.#closed(fact, before, nowMs);
        return;
      default:
        unreachable(fact.state);
    }
  }

  #open({ paired, unlinkingSinceMs, greet }: DeviceState, nowMs: number): void {
    const { identity, handOver, pace, restriction } = this.#parts;
    if (paired === 0 || unlinkingSinceMs !== null) return;
    // Right after a scan nothing has piled up, and somebody waits for the first text.
    const openedMs = greet === 1 ? null : nowMs;
    identity.become("connected", { openedMs });
    if (openedMs !== null) pace.reconnected(openedMs);
    this.#greet(nowMs);
    restriction.run(nowMs);
    handOver.pump(nowMs);
  }

  #connecting({ status, attempts }: DeviceState, nowMs: number): void {
    const { identity } = this.#parts;
    const times = [...timesOf(attempts), nowMs].slice(-ATTEMPTS_TOLD_MAX);
    identity.patch({ attempts: JSON.stringify(times) });
    if (status === "connected") identity.become("reconnecting");
  }

  #closed(fact: SessionFact, before: DeviceState, nowMs: number): void {
    const { identity, pairing, pausing, closesMax } = this.#parts;
    const { deviceId: device, epoch, sessionEpoch } = before;
    logInfo("session closed", {
      device,
      reason: fact.reason,
      code: fact.code,
      by_whatsapp: fact.byWhatsApp,
    });
    // An attempt that came to nothing says something about WhatsApp or the network, not about this phone.
    const isAgainst = fact.byWhatsApp && sessionEpoch === epoch && before.paired === 1;
    const verdict = verdictOnClose({
      reason: fact.reason,
      isPaired: before.paired === 1,
      isUnlinking: before.unlinkingSinceMs !== null,
      willRetry: fact.retryAtMs !== null,
      isAgainst,
      closesCount: isAgainst ? pausing.countClose(nowMs) : 0,
      closesMax,
    });
    switch (verdict.kind) {
      case "nothing":
        return;
      case "wait":
        // A phone that is paused for another reason stays so: only an open session ends that.
        if (before.status !== "paused") identity.become("reconnecting");
        return;
      case "park":
        pairing.park(verdict.status, nowMs);
        return;
      case "pause":
        pausing.pause(verdict.reason, nowMs);
        return;
      default:
        unreachable(verdict);
    }
  }

  /** Once after every successful scan: a generation has at most one, so its number makes the id. */
  #greet(nowMs: number): void {
    const { identity, handOver, outbox } = this.#parts;
    const { state } = identity;
    if (state.greet === 0 || state.phone === null) return;
    identity.patch({ greet: 0 });
    const id = -state.generation;
    if (outbox.get(id) !== null) return;
    const greeting = {
      id,
      nonce: "",
      to: state.phone,
      text: `Device ID ${state.waid} connected`,
      category: "notification" as const,
      priceRupiah: 0,
      periodId: 0,
      acceptedMs: nowMs,
      dueMs: nowMs,
      expiresMs: nowMs + GREETING_LIFE_MS,
    };
    handOver.store([newRow(greeting, state.generation)], nowMs);
  }
}
