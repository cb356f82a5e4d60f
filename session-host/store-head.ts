/**
 * The head row: a write number and a hash over the rows that travel at open, sealed and written with them. Rows
 * put back one by one at the edge no longer fit it; then all Signal sessions older than that moment are treated
 * as absent (they re-key by themselves) while the identity stays. Pure.
 *
 * It covers what is loaded at open. Lazily loaded rows cannot be part of a hash that is checked before they are
 * read; sessions carry the write number instead, which is what makes dropping them all at once possible. A whole
 * consistent older state is not noticed: the host keeps nothing to compare it with.
 */
import { createHash } from "node:crypto";
import { z } from "zod";
import type { KeyType } from "../src/bridge/wire.ts";

const headContent = z.object({
  writeNumber: z.number().int().nonnegative(),
  sessionFloor: z.number().int().nonnegative(),
  hash: z.string(),
});

export class HeadRow {
  readonly #hashes = new Map<string, string>();
  #writeNumber: number;
  #sessionFloor = 0;

  constructor(nowMs: number) {
    this.#writeNumber = nowMs;
  }

  get writeNumber(): number {
    return this.#writeNumber;
  }

  /** Sessions written under a smaller number are void. */
  get sessionFloor(): number {
    return this.#sessionFloor;
  }

  /** A row of those that travel at open has this sealed value from now on. */
  rowWritten(type: KeyType, id: string, sealed: string | null): void {
    const place = JSON.stringify([type, id]);
    if (sealed === null) this.#hashes.delete(place);
    else this.#hashes.set(place, createHash("sha256").update(sealed).digest("base64"));
  }

  /** Compares the stored head with the rows seen, and continues from it. */
  matches(stored: string | null): boolean {
    if (stored === null) return false;
    const parsed = headContent.safeParse(JSON.parse(stored));
    if (!parsed.success) return false;
    this.#writeNumber = Math.max(this.#writeNumber, parsed.data.writeNumber);
    this.#sessionFloor = parsed.data.sessionFloor;
    return parsed.data.hash === this.#hash();
  }

  /** Numbers follow the clock, so that even without a readable head the floor lies above every older session. */
  dropSessions(nowMs: number): void {
    this.#writeNumber = Math.max(this.#writeNumber + 1, nowMs);
    this.#sessionFloor = this.#writeNumber;
  }

  /** The next content to seal. */
  next(nowMs: number): string {
    this.#writeNumber = Math.max(this.#writeNumber + 1, nowMs);
    return JSON.stringify({
      writeNumber: this.#writeNumber,
      sessionFloor: this.#sessionFloor,
      hash: this.#hash(),
    });
  }

  #hash(): string {
    const all = [...this.#hashes].toSorted(([a], [b]) => (a < b ? -1 : 1));
    return createHash("sha256").update(JSON.stringify(all)).digest("base64");
  }
}

export function encodeSessionRow(json: string, writeNumber: number): string {
  return `${writeNumber}|${json}`;
}

/** Null when the session was dropped. */
export function openSessionRow(plain: string, sessionFloor: number): string | null {
  const bar = plain.indexOf("|");
  const writeNumber = Number(plain.slice(0, bar));
  return writeNumber < sessionFloor ? null : plain.slice(bar + 1);
}
