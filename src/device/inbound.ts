/**
 * Texts that came in, stored once: by sender and WhatsApp id, whichever address of the sender it arrived under; and
 * those that the customer typed on the phone. Learns which LID is which number on the way. Stores nothing of
 * somebody whose texts the customer does not want kept. Delivers nothing; the event goes beside the text.
 */
import type { InboundMessage } from "../bridge/device-frames.ts";
import { lidOf, phoneOf } from "./address.ts";
import type { Chats } from "./chats.ts";
import type { Counters } from "./counters.ts";
import type { Events } from "./events.ts";
import type { Identity } from "./identity.ts";
import type { InboundPage, InboundView } from "./interface.ts";
import type { TextSeal } from "./text-seal.ts";

type StoredText = Omit<InboundView, "fromMe" | "text"> & {
  fromMe: number;
  waId: string;
  body: ArrayBuffer | string | null;
};

/** Null without a text, or when it does not open. Text: as it was stored before texts were sealed. */
export function openInbound(
  seal: TextSeal,
  waId: string,
  body: ArrayBuffer | string | null,
): string | null {
  return body === null || typeof body === "string" ? body : seal.openOrNull(purposeOf(waId), body);
}

function purposeOf(waId: string): string {
  return `inbound ${waId}`;
}

export class Inbound {
  readonly #sql: SqlStorage;
  readonly #identity: Identity;
  readonly #events: Events;
  readonly #counters: Counters;
  readonly #seal: TextSeal;
  readonly #chats: Chats;

  constructor(
    sql: SqlStorage,
    identity: Identity,
    events: Events,
    counters: Counters,
    seal: TextSeal,
    chats: Chats,
  ) {
    this.#chats = chats;
    this.#seal = seal;
    this.#sql = sql;
    this.#identity = identity;
    this.#events = events;
    this.#counters = counters;
  }

  /** Repeating it changes nothing. Answers how many texts were new. */
  store(messages: readonly InboundMessage[], nowMs: number): number {
    let stored = 0;
    for (const message of messages) {
      this.#learnFrom(message);
      if (this.#isKnown(message)) continue;
      if (!this.#isWanted(message)) {
        this.#counters.add("texts_not_kept");
        continue;
      }
      stored += 1;
      const { n } = this.#insert(message, nowMs);
      this.#chats.learn(this.#phoneOf(message) ?? "");
      if (!message.fromMe) this.#events.add({ type: "message.inbound", ref: n }, nowMs);
    }
    return stored;
  }

  /** The number a LID is mapped to, as far as texts and receipts told. */
  phoneOfLid(lid: string): string | null {
    const row = this.#sql
      .exec<{ phone: string }>("SELECT phone FROM known_lids WHERE lid = ?", lid)
      .toArray()[0];
    return row?.phone ?? null;
  }

  /** Two addresses of one contact. */
  learn(one: string, other: string | null): void {
    const lid = lidOf(one) ?? lidOf(other);
    const phone = phoneOf(one) ?? phoneOf(other);
    if (lid === null || phone === null) return;
    this.#sql.exec(
      `INSERT INTO known_lids (lid, phone) VALUES (?, ?)
       ON CONFLICT (lid) DO UPDATE SET phone = excluded.phone WHERE phone <> excluded.phone`,
      lid,
      phone,
    );
  }

  /** Whether a text of this sender came before that time: then its number was waited for already. */
  wroteBefore(sender: string, beforeMs: number): boolean {
    const found = this.#sql.exec(
      "SELECT 1 FROM inbound WHERE sender = ? AND received_ms < ? LIMIT 1",
      sender,
      beforeMs,
    );
    return found.toArray().length > 0;
  }

  /** Needed only while the texts of others are dropped. */
  writtenTo(number: string): void {
    if (this.#identity.state.textsKept !== "written_to" || number === "") return;
    this.#sql.exec("INSERT OR IGNORE INTO written_to (number) VALUES (?)", number);
  }

  page(beforeN: number | null, countMax: number): InboundPage {
    const rows = this.#sql
      .exec<StoredText & Record<string, SqlStorageValue>>(
        `SELECT n, from_me AS fromMe, coalesce(
             CASE WHEN chat LIKE '%@s.whatsapp.net' THEN substr(chat, 1, instr(chat, '@') - 1) END,
             (SELECT phone FROM known_lids k WHERE k.lid = i.lid),
             CASE WHEN replace(sender, 'me>', '') NOT GLOB '*[^0-9]*' THEN replace(sender, 'me>', '') END
           ) AS phone, lid, push_name AS name, kind, wa_id AS waId, body, sent_ms AS sentMs,
           received_ms AS receivedMs
         FROM inbound i WHERE n < ? AND sender <> '' ORDER BY n DESC LIMIT ?`,
        beforeN ?? Number.MAX_SAFE_INTEGER,
        countMax + 1,
      )
      .toArray();
    const texts = rows.slice(0, countMax).map(({ waId, body, fromMe, ...row }) => ({
      ...row,
      fromMe: fromMe === 1,
      text: openInbound(this.#seal, waId, body),
    }));
    return { texts, nextBefore: rows.length > countMax ? (texts.at(-1)?.n ?? null) : null };
  }

  #insert(message: InboundMessage, nowMs: number): { n: number } {
    return this.#sql
      .exec<{ n: number }>(
        `INSERT INTO inbound
           (sender, wa_id, chat, lid, from_me, push_name, kind, body, sent_ms, received_ms)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING n`,
        this.#identitiesOf(message)[0] ?? message.chat,
        message.waId,
        message.chat,
        lidOf(message.chat) ?? lidOf(message.chatAlt),
        Number(message.fromMe),
        message.pushName,
        message.kind,
        message.text === null ? null : this.#seal.seal(purposeOf(message.waId), message.text),
        message.sentAtMs,
        nowMs,
      )
      .one();
  }

  #isWanted(message: InboundMessage): boolean {
    switch (this.#identity.state.textsKept) {
      case "everybody":
        return true;
      case "nobody":
        return false;
      case "written_to": {
        const phone = this.#phoneOf(message);
        if (phone === null) return false;
        if (message.fromMe) this.writtenTo(phone);
        return (
          this.#sql.exec("SELECT 1 FROM written_to WHERE number = ?", phone).toArray().length > 0
        );
      }
      default:
        return this.#identity.state.textsKept satisfies never;
    }
  }

  #phoneOf({ chat, chatAlt }: InboundMessage): string | null {
    const lid = lidOf(chat) ?? lidOf(chatAlt);
    return phoneOf(chat) ?? phoneOf(chatAlt) ?? (lid === null ? null : this.phoneOfLid(lid));
  }

  #learnFrom(message: InboundMessage): void {
    this.learn(message.chat, message.chatAlt);
  }

  #isKnown(message: InboundMessage): boolean {
    return this.#identitiesOf(message).some(
      (sender) =>
        this.#sql
          .exec("SELECT 1 FROM inbound WHERE sender = ? AND wa_id = ?", sender, message.waId)
          .toArray().length > 0,
    );
  }

  /** The sender's names, the preferred one first: number, LID, whatever it was. Our own texts stay apart. */
  #identitiesOf(message: InboundMessage): string[] {
    const prefix = message.fromMe ? "me>" : "";
    const lid = lidOf(message.chat) ?? lidOf(message.chatAlt);
    const mapped = lid === null ? null : this.phoneOfLid(lid);
    const names = [phoneOf(message.chat), phoneOf(message.chatAlt), mapped, lid, message.chat];
    return names.flatMap((name) => (name === null ? [] : [`${prefix}${name}`]));
  }
}
