/**
 * Callers whose key D1 does not know, counted per client address so that guessing costs the guesser and not the
 * database. A key that was refused moments ago is refused again without asking; from an address with too many different
 * ones only keys that may exist are looked up (key-names.ts), and of the others one a second, by which a key that was
 * made just now is found. Memory of one isolate, bounded: it saves work and permits nothing. A key that D1 knew is never
 * made to wait for its neighbours. Who has no address has none to share: such requests are not counted together.
 */
import type { RequestFailure } from "../domain/failure.ts";
import { TokenBuckets } from "../domain/token-bucket.ts";
import type { KeyNames } from "./key-names.ts";

const UNKNOWN_KEYS_PER_MINUTE = 30;
/** With so few left the names of keys are wanted: there when they are needed. */
const NAMES_WANTED_AT = 20;
/** While an address is held. */
const TRICKLE_MS = 1_000;
const REFUSED_FOR_MS = 10_000;
const NAMES_MAX = 10_000;

/** Failures that may come without D1 having been asked about the key. */
const SAYS_NOTHING = new Set<RequestFailure["reason"]>([
  "body_malformed",
  "url_refused",
  "test_key_refused",
  "route_unknown",
  "system_unavailable",
]);

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
  readonly #trickles = new TokenBuckets({ tokensMax: 1, fillMs: TRICKLE_MS, namesMax: NAMES_MAX });
  /** Until when a refusal stands, oldest first. */
  readonly #refusedUntilMs = new Map<string, number>();
  readonly #good = new Set<string>();
  readonly #names: KeyNames;

  constructor(names: KeyNames) {
    this.#names = names;
  }

  /** Before anything is looked up. */
  judge({ keyHash, address }: Stranger, nowMs: number): StrangerVerdict {
    if ((this.#refusedUntilMs.get(keyHash) ?? 0) > nowMs) return { kind: "refused" };
    if (this.#good.has(keyHash)) return { kind: "ask" };
    if (address === null) return { kind: "ask" };
    if (this.#addresses.peek(network(address), nowMs).isAllowed) return { kind: "ask" };
    this.#names.want();
    if (this.#names.has(keyHash)) return { kind: "ask" };
    const { isAllowed, nextMs } = this.#trickles.take(network(address), nowMs);
    return isAllowed ? { kind: "ask" } : { kind: "held", retryAfterMs: nextMs };
  }

  /** What an answer says about the key; a failure of null is a success. True when D1 does not know the key. */
  hear(stranger: Stranger, failure: RequestFailure | null, nowMs: number): boolean {
    if (failure?.reason === "key_unknown" && failure.isForced !== true) {
      this.#refuse(stranger, nowMs);
      return true;
    }
    if (failure === null || !SAYS_NOTHING.has(failure.reason)) this.#know(stranger);
    return false;
  }

  /** D1 knew the key lately. */
  knows({ keyHash }: Pick<Stranger, "keyHash">): boolean {
    return this.#good.has(keyHash);
  }

  #refuse({ keyHash, address }: Stranger, nowMs: number): void {
    if ((this.#refusedUntilMs.get(keyHash) ?? 0) > nowMs) return;
    this.#good.delete(keyHash);
    this.#refusedUntilMs.delete(keyHash);
    this.#refusedUntilMs.set(keyHash, nowMs + REFUSED_FOR_MS);
    dropOldest(this.#refusedUntilMs);
    if (address === null) return;
    if (this.#addresses.take(network(address), nowMs).left <= NAMES_WANTED_AT) this.#names.want();
  }

  #know({ keyHash }: Stranger): void {
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
function network(address: string): string {
  return address.startsWith(V4_MAPPED_PREFIX) ? address : address.slice(0, 16);
}
