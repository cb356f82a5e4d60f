/**
 * How fast one phone writes: a random pause between hand-overs, a longer one for the same recipient, typing
 * shown for a time that fits the text. Memory only: after a restart the first message may go at once.
 * No I/O, no clock.
 */
import type { RandomBytes } from "../domain/id.ts";
import { randomFraction } from "../domain/id.ts";

const GAP_MIN_MS = 2_500;
const GAP_MAX_MS = 7_000;
const RECIPIENT_GAP_MS = 6_000;
const TYPING_START_MS = 600;
const TYPING_PER_CHARACTER_MS = 30;
const TYPING_MAX_MS = 20_000;
/** After a reconnect gaps are this much longer at first, and as long as ever after this time. */
const RAMP_FACTOR = 4;
const RAMP_MS = 60_000;
const IN_HAND_MAX_PACED = 4;
const IN_HAND_MAX_UNPACED = 32;

export class Pace {
  readonly #isOn: boolean;
  readonly #random: RandomBytes;
  #nextMs = 0;
  #reconnectedMs = Number.NEGATIVE_INFINITY;
  readonly #recipientFreeMs = new Map<string, number>();

  constructor(isOn: boolean, random: RandomBytes) {
    this.#isOn = isOn;
    this.#random = random;
  }

  get inHandMax(): number {
    return this.#isOn ? IN_HAND_MAX_PACED : IN_HAND_MAX_UNPACED;
  }

  typingMs(text: string): number {
    return this.#typingOf(text.length);
  }

  /** How long a text of this length keeps the next one waiting, on average; 0 when pacing is off. */
  meanStepMs(textLength: number): number {
    if (!this.#isOn) return 0;
    const typingMs = this.#typingOf(textLength);
    if (typingMs >= GAP_MAX_MS) return typingMs;
    // The mean of the longer of the two, the gap being any within its bounds with equal chance.
    const floorMs = Math.max(GAP_MIN_MS, typingMs);
    const isTyping = (floorMs - GAP_MIN_MS) / (GAP_MAX_MS - GAP_MIN_MS);
    return isTyping * floorMs + ((1 - isTyping) * (floorMs + GAP_MAX_MS)) / 2;
  }

  /** How long a text of this length keeps the next one to the same recipient waiting; 0 when pacing is off. */
  recipientStepMs(textLength: number): number {
    return this.#isOn ? Math.max(RECIPIENT_GAP_MS, this.#typingOf(textLength)) : 0;
  }

  /** When the next hand-over to anyone may be; never later than asked for when pacing is off. */
  nextMs(nowMs: number): number {
    return this.#isOn ? Math.max(nowMs, this.#nextMs) : nowMs;
  }

  /** When this recipient may be written to again. */
  recipientFreeMs(recipient: string): number {
    return this.#recipientFreeMs.get(recipient) ?? 0;
  }

  /** Those that may not be written to again yet. */
  waitingRecipients(nowMs: number): string[] {
    return [...this.#recipientFreeMs].flatMap(([recipient, freeMs]) =>
      freeMs > nowMs ? [recipient] : [],
    );
  }

  /** When the first of the recipients that must wait may be written to again. */
  nextRecipientMs(nowMs: number): number | null {
    const waits = [...this.#recipientFreeMs.values()].filter((freeMs) => freeMs > nowMs);
    return waits.length === 0 ? null : Math.min(...waits);
  }

  /** What piled up while the phone was away must not go all at once: the gaps begin long and shrink for a minute. */
  reconnected(nowMs: number): void {
    this.#reconnectedMs = nowMs;
  }

  handedOver(recipient: string, typingMs: number, nowMs: number): void {
    if (!this.#isOn) return;
    const drawnMs = GAP_MIN_MS + randomFraction(this.#random) * (GAP_MAX_MS - GAP_MIN_MS);
    const gapMs = drawnMs * this.#rampFactor(nowMs);
    // A phone types one text at a time, so a long one keeps the next waiting.
    this.#nextMs = Math.ceil(nowMs + Math.max(gapMs, typingMs));
    for (const [other, freeMs] of this.#recipientFreeMs) {
      if (freeMs <= nowMs) this.#recipientFreeMs.delete(other);
    }
    this.#recipientFreeMs.set(recipient, nowMs + Math.max(RECIPIENT_GAP_MS, typingMs));
  }

  /** How much later a line of texts gets through than it would long after a reconnect. */
  rampLagMs(nowMs: number): number {
    const factor = this.#isOn ? this.#rampFactor(nowMs) : 1;
    if (factor === 1) return 0;
    const leftMs = RAMP_MS - (nowMs - this.#reconnectedMs);
    // Gaps shrink evenly over time: the rest of the minute carries what this much of another would.
    return leftMs - (RAMP_MS / (RAMP_FACTOR - 1)) * Math.log(factor);
  }

  #rampFactor(nowMs: number): number {
    const sinceMs = nowMs - this.#reconnectedMs;
    if (sinceMs < 0 || sinceMs >= RAMP_MS) return 1;
    return 1 + (RAMP_FACTOR - 1) * (1 - sinceMs / RAMP_MS);
  }

  #typingOf(textLength: number): number {
    if (!this.#isOn) return 0;
    return Math.min(TYPING_MAX_MS, TYPING_START_MS + TYPING_PER_CHARACTER_MS * textLength);
  }
}
