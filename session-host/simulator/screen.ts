/**
 * What a phone shows: chats with texts and ticks. A second copy of a WhatsApp id never shows a second text; it is
 * counted. Knows nothing of keys or stanzas.
 */

export type Tick = "pending" | "sent" | "delivered" | "read";

export type ScreenMessage = {
  id: string;
  direction: "in" | "out";
  from: string;
  to: string;
  text: string;
  atMs: number;
  tick: Tick;
  /** How often this id arrived at the phone itself (the first copy included). */
  copies: number;
  /** Which devices of this number could read it, and how often it arrived there. */
  devices: Record<string, { text: string; copies: number }>;
};

export type Chat = { with: string; messages: ScreenMessage[] };

const MESSAGES_PER_CHAT_MAX = 1_000;
const RANK: Record<Tick, number> = { pending: 0, sent: 1, delivered: 2, read: 3 };

export class Screen {
  readonly #chats = new Map<string, Map<string, ScreenMessage>>();

  /** Records one arrival of a message at one device. Returns the message and whether this id was new to the device. */
  receive(
    peer: string,
    message: Omit<ScreenMessage, "copies" | "devices">,
    device: number,
  ): { shown: ScreenMessage; firstHere: boolean } {
    const chat = this.#chats.get(peer) ?? new Map<string, ScreenMessage>();
    this.#chats.set(peer, chat);
    const shown: ScreenMessage = chat.get(message.id) ?? { ...message, copies: 0, devices: {} };
    chat.set(message.id, shown);
    const here = shown.devices[device];
    shown.devices[device] = { text: here?.text ?? message.text, copies: (here?.copies ?? 0) + 1 };
    if (device === 0) {
      shown.copies += 1;
      if (here === undefined) shown.text = message.text;
    }
    const oldest = chat.keys().next();
    if (chat.size > MESSAGES_PER_CHAT_MAX && !oldest.done) chat.delete(oldest.value);
    return { shown, firstHere: here === undefined };
  }

  /** Ticks only rise. */
  raise(peer: string, id: string, tick: Tick): void {
    const message = this.find(peer, id);
    if (message !== undefined && RANK[tick] > RANK[message.tick]) message.tick = tick;
  }

  find(peer: string, id: string): ScreenMessage | undefined {
    return this.#chats.get(peer)?.get(id);
  }

  knows(peer: string): boolean {
    return this.#chats.has(peer);
  }

  chats(): Chat[] {
    return [...this.#chats].map(([peer, messages]) => ({
      with: peer,
      messages: [...messages.values()],
    }));
  }

  get size(): number {
    let size = 0;
    for (const chat of this.#chats.values()) size += chat.size;
    return size;
  }

  static revive(chats: Chat[]): Screen {
    const screen = new Screen();
    for (const chat of chats)
      screen.#chats.set(chat.with, new Map(chat.messages.map((message) => [message.id, message])));
    return screen;
  }
}
