/**
 * All numbers of the simulated network, found by number or by LID. A number exists as soon as somebody names it;
 * whether it is on WhatsApp is a rule with exceptions: every number is, except those ending in 0000.
 */

import { createHash } from "node:crypto";
import type { Jid } from "./jid.ts";
import { Phone, type StoredPhone } from "./phone.ts";

type RandomBytes = (length: number) => Buffer;

export class Directory {
  readonly #randomBytes: RandomBytes;
  readonly #byNumber = new Map<string, Phone>();
  readonly #byLid = new Map<string, Phone>();

  constructor(randomBytes: RandomBytes) {
    this.#randomBytes = randomBytes;
  }

  phone(number: string): Phone {
    const known = this.#byNumber.get(number);
    if (known !== undefined) return known;
    return this.#add(new Phone(number, lidOf(number), this.#randomBytes));
  }

  known(number: string): Phone | undefined {
    return this.#byNumber.get(number);
  }

  /** A LID nobody was told about belongs to nobody. */
  find(jid: Jid | undefined): Phone | undefined {
    if (jid === undefined) return undefined;
    return jid.server === "lid" ? this.#byLid.get(jid.user) : this.phone(jid.user);
  }

  isRegistered(phone: Phone): boolean {
    return phone.registered ?? !phone.number.endsWith("0000");
  }

  all(): Phone[] {
    return [...this.#byNumber.values()];
  }

  restore(stored: StoredPhone[]): void {
    for (const one of stored) this.#add(Phone.revive(one, this.#randomBytes));
  }

  #add(phone: Phone): Phone {
    this.#byNumber.set(phone.number, phone);
    this.#byLid.set(phone.lid, phone);
    return phone;
  }
}

/** Fifteen digits that have nothing visible in common with the number, and stay the same over restarts. */
function lidOf(number: string): string {
  const hash = createHash("sha256").update(`lid ${number}`).digest().readUIntBE(0, 6);
  return String(100_000_000_000_000 + hash);
}
