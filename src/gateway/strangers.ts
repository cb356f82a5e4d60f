/**
 * Callers whose key D1 does not know, counted per client address so that guessing costs the guesser and not the
 * database. A key that was refused moments ago is refused again without asking; an address with too many different
 * ones is told to wait. Memory of one isolate, bounded: it saves work and permits nothing. A key that was found
 * good is never made to wait for its neighbours.
 */
import { TokenBuckets } from "../domain/token-bucket.ts";

const UNKNOWN_KEYS_PER_MINUTE = 30;
const REFUSED_FOR_MS = 10_000;
const NAMES_MAX = 10_000;

export interface Stranger {
  keyHash: string;
  address: string | null;
}

export type StrangerVerdict =
  | { kind: "ask" }
  /** Unknown a moment ago, hence still. */
  | { kind: "refused" }
  | { kind: "held"; retryAfterMs: number };

export class Strangers {
  readonly #addresses = new TokenBuckets({
    tokensMax: UNKNOWN_KEYS_PER_MINUTE,
    fillMs: 60_000,
    namesMax: NAMES_MAX,
  });
  /** Until when a refusal stands, oldest first. */
  readonly #refusedUntilMs = new Map<string, number>();
  readonly #good = new Set<string>();

  /** Before anything is looked up. */
  judge({ keyHash, address }: Stranger, nowMs: number): StrangerVerdict {
    if ((this.#refusedUntilMs.get(keyHash) ?? 0) > nowMs) return { kind: "refused" };
    if (this.#good.has(keyHash)) return { kind: "ask" };
    const { isAllowed, nextMs } = this.#addresses.peek(network(address), nowMs);
    return isAllowed ? { kind: "ask" } : { kind: "held", retryAfterMs: nextMs };
  }

  /** D1 said that it does not know the key. */
  refused({ keyHash, address }: Stranger, nowMs: number): void {
    if ((this.#refusedUntilMs.get(keyHash) ?? 0) > nowMs) return;
    this.#good.delete(keyHash);
    this.#refusedUntilMs.delete(keyHash);
    this.#refusedUntilMs.set(keyHash, nowMs + REFUSED_FOR_MS);
    dropOldest(this.#refusedUntilMs);
    this.#addresses.take(network(address), nowMs);
  }

  known({ keyHash }: Stranger): void {
    if (this.#good.has(keyHash)) return;
    this.#good.add(keyHash);
    dropOldest(this.#good);
  }
}

function dropOldest(names: Map<string, unknown> | Set<string>): void {
  if (names.size <= NAMES_MAX) return;
  const [oldest] = names.keys();
  if (oldest !== undefined) names.delete(oldest);
}

const V4_MAPPED_PREFIX = "00000000000000000000ffff";

/** One IPv4 address, or the /64 that an IPv6 user draws addresses from at will. */
function network(address: string | null): string {
  if (address === null) return "unknown";
  return address.startsWith(V4_MAPPED_PREFIX) ? address : address.slice(0, 16);
}
