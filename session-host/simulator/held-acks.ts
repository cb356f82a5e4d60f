/** Acknowledgements the server withholds, and everything that must not overtake them (receipts of the same text). */

type Held = { account: string; to: string; id: string; release: (() => void)[] };

export class HeldAcks {
  #held: Held[] = [];

  hold(account: string, to: string, id: string, sendAck: () => void): void {
    this.#held.push({ account, to, id, release: [sendAck] });
  }

  /** Runs now, or after the acknowledgement of this id when that is held. */
  afterAck(account: string, id: string, job: () => void): void {
    const held = this.#held.find((one) => one.account === account && one.id === id);
    if (held === undefined) job();
    else held.release.push(job);
  }

  /** Releases what fits; returns how many acknowledgements that were. */
  release(fits: {
    account?: string | undefined;
    to?: string | undefined;
    id?: string | undefined;
  }): number {
    const { account, to, id } = fits;
    const released = this.#held.filter(
      (one) =>
        (account ?? one.account) === one.account &&
        (to ?? one.to) === one.to &&
        (id ?? one.id) === one.id,
    );
    this.#held = this.#held.filter((one) => !released.includes(one));
    for (const one of released) for (const job of one.release) job();
    return released.length;
  }

  report(): { account: string; to: string; id: string }[] {
    return this.#held.map(({ account, to, id }) => ({ account, to, id }));
  }
}
