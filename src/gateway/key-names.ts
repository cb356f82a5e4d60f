/**
 * Which keys may exist, kept in the isolate while keys are being guessed: with it a guess is told from a good key that
 * this isolate has not met, and nobody waits for a neighbour who guesses. Not a permission: who is named here is looked
 * up like anybody. Keys made since it was read are missing.
 */
import { NAME_LENGTH, readKeyNames } from "../directory/key-names.ts";
import type { Clock } from "../domain/clock.ts";
import { errorFields, logWarning } from "../domain/log.ts";

const FRESH_MS = 60_000;
/** A read that has not come back by then is made again. */
const ASK_AGAIN_MS = 5_000;

export class KeyNames {
  /** Sorted. */
  #names = new Uint32Array();
  #isWanted = false;
  #readMs = Number.NEGATIVE_INFINITY;
  #askedMs = Number.NEGATIVE_INFINITY;

  /** Somebody guesses, now. */
  want(): void {
    this.#isWanted = true;
  }

  /** True for the one who is to read them now. */
  isDue(nowMs: number): boolean {
    const isWanted = this.#isWanted;
    this.#isWanted = false;
    if (!isWanted || nowMs < this.#readMs + FRESH_MS) return false;
    if (nowMs < this.#askedMs + ASK_AGAIN_MS) return false;
    this.#askedMs = nowMs;
    return true;
  }

  take(written: string, nowMs: number): void {
    const names = new Uint32Array(written.length / NAME_LENGTH);
    for (let at = 0; at < names.length; at += 1) names[at] = nameIn(written, at * NAME_LENGTH);
    this.#names = names.toSorted();
    this.#readMs = nowMs;
  }

  has(hash: string): boolean {
    const wanted = nameIn(hash, 0);
    let low = 0;
    let high = this.#names.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#names[middle] ?? 0) < wanted) low = middle + 1;
      else high = middle;
    }
    return this.#names[low] === wanted;
  }
}

/** At the end of a request; no answer waits for it. */
export function readNamesIfDue(tools: {
  db: D1Database;
  clock: Clock;
  keyNames: KeyNames;
  later: (work: Promise<unknown>) => void;
}): void {
  const { db, clock, keyNames, later } = tools;
  if (!keyNames.isDue(clock())) return;
  const read = readKeyNames(db).then(
    (names) => keyNames.take(names, clock()),
    (error: unknown) => logWarning("names of keys not read", errorFields(error)),
  );
  later(read);
}

function nameIn(text: string, from: number): number {
  return Number.parseInt(text.slice(from, from + NAME_LENGTH), 16);
}
