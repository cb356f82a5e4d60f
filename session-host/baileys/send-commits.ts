/**
 * Key commits of the messages that leave, gathered: while some are on their way to the device, the messages
 * encrypted meanwhile share the next one. Each hears of its own. Retries nothing: a commit that fails has ended the
 * store.
 */
import { HostError } from "../log.ts";
import type { KeyStore, MessageTag } from "../store.ts";

/** As many as one frame of the bridge may name. */
const MESSAGES_PER_COMMIT_MAX = 16;
/** One is applied at the device while the next travels. */
const IN_FLIGHT_MAX = 2;

/** What the message's own send says and hears. */
export interface SendTurn {
  /** Asked when its commit leaves: a message that was given up meanwhile may be in other hands. */
  isGivenUp(): boolean;
  /** From now on nothing may be claimed about it. */
  onSent(): void;
}

/** Its message was given up before its commit left. */
export class GivenUp extends HostError {
  override name = "GivenUp";
}

interface Waiting {
  tag: MessageTag;
  turn: SendTurn;
  resolve: () => void;
  reject: (error: unknown) => void;
}

export class SendCommits {
  readonly #store: KeyStore;
  readonly #waiting: Waiting[] = [];
  #inFlight = 0;
  #isScheduled = false;

  constructor(store: KeyStore) {
    this.#store = store;
  }

  /** Resolves when all that was staged so far is durable, with this message; rejects as the store's commit does. */
  join(tag: MessageTag, turn: SendTurn): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ tag, turn, resolve, reject });
      this.#schedule();
    });
  }

  #schedule(): void {
    if (this.#isScheduled || this.#waiting.length === 0 || this.#inFlight >= IN_FLIGHT_MAX) return;
    this.#isScheduled = true;
    // Whoever is being encrypted in this turn comes along.
    setImmediate(() => {
      this.#isScheduled = false;
      void this.#send();
    });
  }

  async #send(): Promise<void> {
    const group = this.#takeGroup();
    if (group.length === 0) return;
    this.#inFlight += 1;
    this.#schedule();
    try {
      const committed = this.#store.commit({ forMessages: group.map(({ tag }) => tag) });
      for (const { turn } of group) turn.onSent();
      await committed;
      for (const { resolve } of group) resolve();
    } catch (error) {
      for (const { reject } of group) reject(error);
    } finally {
      this.#inFlight -= 1;
      this.#schedule();
    }
  }

  #takeGroup(): Waiting[] {
    const group: Waiting[] = [];
    while (group.length < MESSAGES_PER_COMMIT_MAX) {
      const next = this.#waiting.shift();
      if (next === undefined) break;
      if (next.turn.isGivenUp()) next.reject(new GivenUp("given up before its commit"));
      else group.push(next);
    }
    return group;
  }
}
