/**
 * Stanzas handled one at a time, in the order in which they came. Baileys begins each message at once and keeps them
 * apart only when it decrypts, so a text whose sender's addresses take longer to look up is overtaken by those behind
 * it; and it keeps the backlog in a queue of its own, which live texts pass. Bounded; knows nothing of stanzas.
 */

export interface StanzaQueueOptions<T> {
  /** Ends when the stanza was handled; its failures are the handler's own. */
  handle(stanza: T): Promise<void>;
  /** Nothing more is handled: WhatsApp delivers what was not answered again. */
  isOver(): boolean;
  /** More wait than may: the connection must end, so that they come again. */
  onOverflow(): void;
  waitingMax: number;
}

export class StanzaQueue<T> {
  readonly #options: StanzaQueueOptions<T>;
  #waiting: T[] = [];
  #running = false;

  constructor(options: StanzaQueueOptions<T>) {
    this.#options = options;
  }

  add(stanza: T): void {
    if (this.#options.isOver()) return;
    if (this.#waiting.length >= this.#options.waitingMax) {
      this.#options.onOverflow();
      return;
    }
    this.#waiting.push(stanza);
    if (!this.#running) void this.#run();
  }

  async #run(): Promise<void> {
    this.#running = true;
    try {
      while (this.#waiting.length > 0 && !this.#options.isOver()) {
        const portion = this.#waiting;
        this.#waiting = [];
        for (const stanza of portion) {
          if (this.#options.isOver()) return;
          await this.#options.handle(stanza);
        }
      }
    } finally {
      this.#running = false;
    }
  }
}
