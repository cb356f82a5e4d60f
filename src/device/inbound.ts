/**
 * Texts that came in, stored once: by sender and WhatsApp id, whichever address of the sender it arrived under.
 * Learns which LID is which number on the way. Passes nothing on to customers.
 */
import type { InboundMessage } from "../bridge/device-frames.ts";
import { lidOf, phoneOf } from "./address.ts";

export class Inbound {
  readonly #sql: SqlStorage;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
  }

  /** Repeating it changes nothing. Answers how many texts were new. */
  store(messages: readonly InboundMessage[], nowMs: number): number {
    let stored = 0;
    for (const message of messages) {
      this.#learn(message);
      if (this.#isKnown(message)) continue;
      stored += 1;
      this.#sql.exec(
        `INSERT INTO inbound (sender, wa_id, chat, from_me, push_name, kind, body, sent_ms, received_ms)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
        this.#identitiesOf(message)[0] ?? message.chat,
        message.waId,
        message.chat,
        Number(message.fromMe),
        message.pushName,
        message.kind,
        message.text,
        message.sentAtMs,
        nowMs,
      );
    }
    return stored;
  }

  /** The number a LID is mapped to, as far as inbound texts told. */
  phoneOfLid(lid: string): string | null {
    const row = this.#sql
      .exec<{ phone: string }>("SELECT phone FROM known_lids WHERE lid = ?", lid)
      .toArray()[0];
    return row?.phone ?? null;
  }

  #learn(message: InboundMessage): void {
    const lid = lidOf(message.chat) ?? lidOf(message.chatAlt);
    const phone = phoneOf(message.chat) ?? phoneOf(message.chatAlt);
    if (lid === null || phone === null) return;
    this.#sql.exec(
      `INSERT INTO known_lids (lid, phone) VALUES (?, ?)
       ON CONFLICT (lid) DO UPDATE SET phone = excluded.phone WHERE phone <> excluded.phone`,
      lid,
      phone,
    );
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
