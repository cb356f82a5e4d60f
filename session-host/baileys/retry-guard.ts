/**
 * Retry receipts ask for a text again. Baileys answers them from a cache of its own, by message id and whatever
 * address the receipt claims; so a receipt passes this guard first: the device must confirm that this message
 * went to this very chat, the asking device must belong to that chat or to ourselves, and a message is resent to
 * one device five times at most. What does not pass is acknowledged and dropped; nothing leaves.
 */
import { areJidsSameUser, isLidUser, jidNormalizedUser } from "@whiskeysockets/baileys";
import type { BinaryNode } from "@whiskeysockets/baileys";
import { BoundedMap } from "../../src/domain/bounded-map.ts";
import { isOwn } from "./inbound.ts";
import type { OwnAddresses } from "./inbound.ts";

export const RETRIES_MAX = 5;
const COUNTED_MAX = 2_000;
const CONFIRMED_MAX = 50;

export interface RetryGuardOptions {
  own(): OwnAddresses;
  phoneOfLid(lid: string): Promise<string | null>;
  sentText(waId: string, chat: string, chatPhone: string | null): Promise<string | null>;
}

/** How often each message was resent to each device; outlives connections. */
export class RetryCounts {
  readonly #counts = new BoundedMap<string, number>(COUNTED_MAX);

  /** False when the limit is reached. */
  take(waId: string, asker: string): boolean {
    const key = `${waId}|${asker}`;
    const count = this.#counts.get(key) ?? 0;
    if (count >= RETRIES_MAX) return false;
    this.#counts.set(key, count + 1);
    return true;
  }
}

export class RetryGuard {
  readonly #options: RetryGuardOptions;
  readonly #counts: RetryCounts;
  readonly #confirmed = new BoundedMap<string, string>(CONFIRMED_MAX);

  constructor(options: RetryGuardOptions, counts: RetryCounts) {
    this.#options = options;
    this.#counts = counts;
  }

  async allows(node: BinaryNode): Promise<boolean> {
    const { id, from, participant, recipient } = node.attrs;
    if (id === undefined || from === undefined || !Array.isArray(node.content)) return false;
    const own = this.#options.own();
    const chat = jidNormalizedUser(isOwn(from, own) ? (recipient ?? from) : from);
    const asker = participant ?? from;
    if (!isOwn(asker, own) && !areJidsSameUser(asker, from)) return false;
    // A list would name more messages than the one that is checked.
    if (node.content.some((child) => child.tag === "list")) return false;
    const text = await this.#look(id, chat);
    if (text === null || !this.#counts.take(id, asker)) return false;
    this.#confirmed.set(`${id}|${chat}`, text);
    return true;
  }

  /** For Baileys' own look-up: only what was confirmed for this chat. */
  async text(waId: string, chat: string): Promise<string | null> {
    const address = jidNormalizedUser(chat);
    return this.#confirmed.get(`${waId}|${address}`) ?? this.#look(waId, address);
  }

  async #look(waId: string, chat: string): Promise<string | null> {
    const chatPhone = isLidUser(chat) ? await this.#options.phoneOfLid(chat) : null;
    return this.#options.sentText(waId, chat, chatPhone);
  }
}
