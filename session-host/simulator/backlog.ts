/**
 * Stanzas the server keeps for one linked device until that device has acknowledged them. What is still here at the
 * next login is sent again as offline backlog. Holds no sockets.
 */

import type { Stanza } from "./stanza.ts";

export type Pending = {
  stanza: Stanza;
  /** Acknowledgements with an error that answer an older copy of this id and must not remove this one. */
  nacksToIgnore: number;
};

const PENDING_MAX = 20_000;

export class Backlog {
  readonly #pending = new Map<string, Pending>();

  add(stanza: Stanza): void {
    const key = keyOf(stanza.tag, stanza.attrs);
    const ignored = this.#pending.get(key)?.nacksToIgnore ?? 0;
    // A second copy moves to the end: order is the order of sending.
    this.#pending.delete(key);
    this.#pending.set(key, { stanza, nacksToIgnore: ignored });
    const oldest = this.#pending.keys().next();
    if (this.#pending.size > PENDING_MAX && !oldest.done) this.#pending.delete(oldest.value);
  }

  /** The device asked for a message again: its error acknowledgement still to come is about the old copy. */
  expectNack(messageId: string): void {
    const pending = this.#pending.get(keyOf("message", { id: messageId }));
    if (pending !== undefined) pending.nacksToIgnore += 1;
  }

  /** The device's delivery receipt for a message. True when it was pending. */
  takeMessage(messageId: string): boolean {
    return this.#pending.delete(keyOf("message", { id: messageId }));
  }

  /** The device's `<ack>` for any stanza. True when that removed it. */
  takeAck(ack: Stanza): boolean {
    const key = keyOf(ack.attrs["class"] ?? "", { ...ack.attrs, from: ack.attrs["to"] ?? "" });
    const pending = this.#pending.get(key);
    if (pending === undefined) return false;
    if (ack.attrs["error"] !== undefined && pending.nacksToIgnore > 0) {
      pending.nacksToIgnore -= 1;
      return false;
    }
    return this.#pending.delete(key);
  }

  all(): Stanza[] {
    return [...this.#pending.values()].map((one) => one.stanza);
  }

  get size(): number {
    return this.#pending.size;
  }

  clear(): void {
    this.#pending.clear();
  }
}

/** A message is known by its id alone: the receipt that answers it names the chat in another form. */
function keyOf(tag: string, attrs: Record<string, string>): string {
  if (tag === "message") return `message ${attrs["id"] ?? ""}`;
  return [tag, attrs["id"], attrs["from"], attrs["type"]].join(" ");
}

export type StoredStanza = {
  tag: string;
  attrs: Record<string, string>;
  content?: StoredStanza[] | { bytes: string } | string;
};

export function storeStanza(stanza: Stanza): StoredStanza {
  const { tag, attrs, content } = stanza;
  if (content === undefined) return { tag, attrs };
  if (typeof content === "string") return { tag, attrs, content };
  if (Array.isArray(content)) return { tag, attrs, content: content.map(storeStanza) };
  return { tag, attrs, content: { bytes: Buffer.from(content).toString("base64") } };
}

export function reviveStanza(stored: StoredStanza): Stanza {
  const { tag, attrs, content } = stored;
  if (content === undefined) return { tag, attrs };
  if (typeof content === "string") return { tag, attrs, content };
  if (Array.isArray(content)) return { tag, attrs, content: content.map(reviveStanza) };
  return { tag, attrs, content: Buffer.from(content.bytes, "base64") };
}
