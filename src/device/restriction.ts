/**
 * WhatsApp's lock on new chats (463): while it holds, texts to numbers this phone has no chat with wait, all others go.
 * Asks WhatsApp until when, at most once a minute, and again before a hold ends by time alone. An unknown end counts as
 * 24 hours. Never sends a text again that was refused.
 */
import { knowsRestrictions } from "../bridge/versions.ts";
import type { Chats } from "./chats.ts";
import type { Commands } from "./commands.ts";
import type { Counters } from "./counters.ts";
import type { Events } from "./events.ts";
import type { Identity } from "./identity.ts";
import { logWarning } from "../domain/log.ts";
import type { MessagePatch, MessageRow } from "./message-row.ts";
import type { Bridge } from "./socket.ts";

/** How long new chats wait when WhatsApp does not say. */
export const UNKNOWN_END_MS = 24 * 3_600_000;
const ASK_PAUSE_MS = 60_000;
/** While the end stays unknown. */
const ASK_AGAIN_MS = 15 * 60_000;
/** An answer takes no longer than this. */
const ANSWER_MAX_MS = 30_000;
/** A refusal so soon after a hold ended: this time it lasts that long whatever WhatsApp answers. */
const DOUBT_MS = 3_600_000;

export interface RestrictionParts {
  identity: Identity;
  chats: Chats;
  events: Events;
  counters: Counters;
  bridge: Bridge;
  commands: Commands;
}

export class Restriction {
  readonly #parts: RestrictionParts;

  constructor(parts: RestrictionParts) {
    this.#parts = parts;
  }

  /** Until when new chats wait; null while they need not. */
  get untilMs(): number | null {
    return this.#parts.identity.state.restrictedUntilMs;
  }

  /** True for a text that would start a chat while none may be started. */
  holds({ id, recipient }: Pick<MessageRow, "id" | "recipient">): boolean {
    // Kabar's own texts go to the phone itself.
    return this.untilMs !== null && id > 0 && !this.#parts.chats.isKnown(recipient);
  }

  /** What to store with a text that is held. */
  heldPatch(nowMs: number): MessagePatch {
    return { nextMs: this.#holdEndMs(nowMs), reason: "account_restricted" };
  }

  /** Puts off what is due and would start a chat. */
  holdDue(nowMs: number): void {
    if (this.untilMs !== null) this.#parts.chats.hold(this.#holdEndMs(nowMs), nowMs);
  }

  /** WhatsApp refused a new chat, or said that it will. Null: until when is not known. */
  told(endMs: number | null, nowMs: number): void {
    const { identity, counters, events, chats } = this.#parts;
    const { restrictedUntilMs: beforeMs, restrictedKnown, deviceId, phone } = identity.state;
    counters.add("restricted");
    const isKnown = endMs !== null && endMs > nowMs;
    // A refusal says nothing against an end that WhatsApp has named.
    if (!isKnown && restrictedKnown === 1 && (beforeMs ?? 0) > nowMs) return;
    const untilMs = isKnown ? endMs : nowMs + UNKNOWN_END_MS;
    identity.patch({
      restrictedUntilMs: untilMs,
      restrictedKnown: Number(isKnown),
      ...(beforeMs === null ? { restrictedSinceMs: nowMs } : {}),
    });
    if (beforeMs !== null && untilMs < beforeMs) chats.release(null);
    this.holdDue(nowMs);
    if (beforeMs === null || (isKnown && untilMs !== beforeMs)) {
      const toldMs = isKnown ? untilMs : null;
      logWarning("account restricted", { device: deviceId, until_ms: toldMs });
      events.add({ type: "device.restricted", untilMs: toldMs, phone }, nowMs);
    }
    this.run(nowMs);
  }

  /** WhatsApp says that new chats may be started. */
  toldFree(nowMs: number): void {
    const { restrictedSinceMs, restrictionLiftedMs } = this.#parts.identity.state;
    const isDoubted =
      restrictionLiftedMs !== null &&
      restrictedSinceMs - restrictionLiftedMs < DOUBT_MS &&
      nowMs - restrictedSinceMs < DOUBT_MS;
    if (!isDoubted) this.lift(nowMs);
  }

  lift(nowMs: number): void {
    const { identity, events, chats } = this.#parts;
    const { restrictedUntilMs, phone } = identity.state;
    if (restrictedUntilMs === null) return;
    identity.patch({ restrictedUntilMs: null, restrictedKnown: 0, restrictionLiftedMs: nowMs });
    chats.release(null);
    events.add({ type: "device.restricted", reason: "lifted", untilMs: nowMs, phone }, nowMs);
  }

  /** Another phone: it has its own chats and its own standing. */
  forget(): void {
    const { identity, chats } = this.#parts;
    identity.patch({ restrictedUntilMs: null, restrictedKnown: 0, restrictionLiftedMs: null });
    chats.clear();
    chats.release(null);
  }

  /** Asks when that is due; ends a hold whose time is over and about which WhatsApp said no more. */
  run(nowMs: number): void {
    // Whoever runs this hands over next.
    this.#parts.chats.handingOver();
    const { untilMs } = this;
    if (untilMs === null || !this.#isConnected) return;
    const askedMs = this.#askedMs;
    if (askedMs >= untilMs) {
      if (nowMs >= askedMs + ANSWER_MAX_MS) this.lift(nowMs);
    } else if (this.#askMs(untilMs) <= nowMs && !this.#ask(nowMs) && nowMs >= untilMs) {
      this.lift(nowMs);
    }
  }

  /** While the phone is away nobody can be asked and nothing sent; its coming back is an event. */
  nextMs(nowMs: number): number | null {
    if (this.#parts.chats.hasReleased) return nowMs;
    const { untilMs } = this;
    if (untilMs === null || !this.#isConnected) return null;
    if (this.#askedMs >= untilMs) return this.#askedMs + ANSWER_MAX_MS;
    return this.#canAsk ? this.#askMs(untilMs) : Math.max(untilMs, nowMs);
  }

  get #askedMs(): number {
    return this.#parts.identity.state.restrictionAskedMs;
  }

  get #isConnected(): boolean {
    return this.#parts.identity.state.status === "connected";
  }

  get #canAsk(): boolean {
    const { identity, bridge } = this.#parts;
    const socket = bridge.current(identity.state.epoch);
    return socket !== null && knowsRestrictions(bridge.protocolOf(socket));
  }

  /** When the next question is due: soon after it began, now and then while no end is known, and at the end. */
  #askMs(untilMs: number): number {
    const { restrictedKnown, restrictedSinceMs } = this.#parts.identity.state;
    const askedMs = this.#askedMs;
    if (restrictedKnown === 1) return Math.max(untilMs, askedMs + ASK_PAUSE_MS);
    if (askedMs < restrictedSinceMs) return askedMs + ASK_PAUSE_MS;
    return Math.min(askedMs + ASK_AGAIN_MS, Math.max(untilMs, askedMs + ASK_PAUSE_MS));
  }

  /** False when there is nobody to ask. */
  #ask(nowMs: number): boolean {
    const { identity, bridge, commands } = this.#parts;
    const { epoch } = identity.state;
    const socket = bridge.current(epoch);
    if (socket === null || !this.#canAsk) return false;
    identity.patch({ restrictionAskedMs: nowMs });
    const seq = bridge.nextCommandSeq(socket);
    commands.push(() => ({ epoch, seq, command: { kind: "ask_restriction" } }));
    return true;
  }

  /** What is held past the end waits for WhatsApp's answer. */
  #holdEndMs(nowMs: number): number {
    return Math.max(this.untilMs ?? 0, nowMs + ANSWER_MAX_MS);
  }
}
