/**
 * Token buckets by name: so many at once, refilled evenly. Memory of one isolate and bounded: the bucket used
 * longest ago is forgotten first. No clock. It decides about load, never about permission or money.
 */
export interface BucketRules {
  /** What a full bucket holds. */
  tokensMax: number;
  /** How long an empty one takes to fill. */
  fillMs: number;
  /** Names remembered. */
  namesMax: number;
}

export interface BucketState {
  isAllowed: boolean;
  /** Whole tokens left. */
  left: number;
  /** Until the next token; 0 when there is one. */
  nextMs: number;
  /** Until the bucket is full again. */
  fullMs: number;
}

export class TokenBuckets {
  readonly #rules: BucketRules;
  readonly #buckets = new Map<string, { tokens: number; atMs: number }>();

  constructor(rules: BucketRules) {
    this.#rules = rules;
  }

  get tokensMax(): number {
    return this.#rules.tokensMax;
  }

  /** Takes a token if there is one. */
  take(name: string, nowMs: number): BucketState {
    const tokens = this.#tokens(name, nowMs);
    const isAllowed = tokens >= 1;
    const left = isAllowed ? tokens - 1 : tokens;
    this.#keep(name, left, nowMs);
    return this.#state(isAllowed, left);
  }

  /** How it stands; takes nothing and remembers nothing. */
  peek(name: string, nowMs: number): BucketState {
    const tokens = this.#tokens(name, nowMs);
    return this.#state(tokens >= 1, tokens);
  }

  #tokens(name: string, nowMs: number): number {
    const { tokensMax, fillMs } = this.#rules;
    const bucket = this.#buckets.get(name);
    if (bucket === undefined) return tokensMax;
    const passedMs = Math.max(0, nowMs - bucket.atMs);
    return Math.min(tokensMax, bucket.tokens + (passedMs / fillMs) * tokensMax);
  }

  #keep(name: string, tokens: number, nowMs: number): void {
    this.#buckets.delete(name);
    this.#buckets.set(name, { tokens, atMs: nowMs });
    if (this.#buckets.size <= this.#rules.namesMax) return;
    const [oldest] = this.#buckets.keys();
    if (oldest !== undefined) this.#buckets.delete(oldest);
  }

  #state(isAllowed: boolean, tokens: number): BucketState {
    const { tokensMax, fillMs } = this.#rules;
    const perTokenMs = fillMs / tokensMax;
    return {
      isAllowed,
      left: Math.floor(tokens),
      nextMs: tokens >= 1 ? 0 : Math.ceil((1 - tokens) * perTokenMs),
      fullMs: Math.ceil((tokensMax - tokens) * perTokenMs),
    };
  }
}
