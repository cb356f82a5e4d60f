/**
 * Every connection a client tried, with its times: who knocked when, how many logins were under way at once, how long
 * each took. Tests compute from it whatever they judge. Bounded; the oldest are forgotten.
 */

export type ConnectionRecord = {
  openedMs: number;
  /** Whose login it was; empty while unknown (a refused upgrade, a client that is being linked). */
  number: string;
  device: number;
  /** HTTP status or failure code that it was turned away with; null when it was let in or ended by itself. */
  refusedWith: number | null;
  /** The login was complete, its backlog handed over. */
  onlineMs: number | null;
  endedMs: number | null;
};

const RECORDS_MAX = 10_000;

export class ConnectionLog {
  #records: ConnectionRecord[] = [];

  open(openedMs: number): ConnectionRecord {
    const record: ConnectionRecord = {
      openedMs,
      number: "",
      device: 0,
      refusedWith: null,
      onlineMs: null,
      endedMs: null,
    };
    this.#records.push(record);
    if (this.#records.length > RECORDS_MAX * 1.5) this.#records = this.#records.slice(-RECORDS_MAX);
    return record;
  }

  report(): ConnectionRecord[] {
    return this.#records.map((record) => ({ ...record }));
  }
}
