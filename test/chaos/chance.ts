/** Chance that repeats: the same seed and name draw the same numbers for ever (mulberry32). Not for secrets. */
export class Chance {
  #state: number;

  /** `name` keeps the draws of one purpose apart from those of another. */
  constructor(seed: number, name: string) {
    let hash = seed >>> 0;
    for (const character of name) {
      hash = Math.imul(hash ^ (character.codePointAt(0) ?? 0), 0x9e_37_79_b1) >>> 0;
    }
    this.#state = hash;
  }

  /** From 0 up to, never reaching, 1. */
  next(): number {
    this.#state = (this.#state + 0x6d_2b_79_f5) >>> 0;
    let mixed = this.#state;
    mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  }

  /** A whole number, both ends included. */
  whole(least: number, most: number): number {
    return least + Math.floor(this.next() * (most - least + 1));
  }

  happens(share: number): boolean {
    return this.next() < share;
  }

  pick<T>(list: readonly T[]): T {
    const picked = list[this.whole(0, list.length - 1)];
    if (picked === undefined) throw new Error("nothing to pick from");
    return picked;
  }

  shuffled<T>(list: readonly T[]): T[] {
    const rest = [...list];
    const mixed: T[] = [];
    while (rest.length > 0) mixed.push(...rest.splice(this.whole(0, rest.length - 1), 1));
    return mixed;
  }

  /** How long until the next of events that come every `meanMs` on average, as independent ones do. */
  gapMs(meanMs: number): number {
    return -Math.log(1 - this.next()) * meanMs;
  }
}
