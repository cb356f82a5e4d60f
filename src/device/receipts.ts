/**
 * What WhatsApp and the contacts say about messages of ours: acknowledgements, receipts, requests for a text to be
 * sent again. Believes only what matches a stored message by WhatsApp id AND recipient; a forged one is counted
 * and changes nothing.
 */
import type { Fact } from "../bridge/device-frames.ts";
import type { OwnAddresses, PhoneOfLid } from "./address.ts";
import { isOwn, isRecipient, lidOf, phoneOf } from "./address.ts";
import type { Counters } from "./counters.ts";
import type { Identity } from "./identity.ts";
import type { Judgement } from "./judgement.ts";
import type { MessageRow } from "./message-row.ts";
import type { Outbox } from "./outbox.ts";

/** A text is handed out again at most this often. */
const GETS_MAX = 5;

const PROOFS = { sender: "sender", delivered: "delivered", read: "read", played: "read" } as const;

export class Receipts {
  readonly #outbox: Outbox;
  readonly #judgement: Judgement;
  readonly #counters: Counters;
  readonly #identity: Identity;
  readonly #phoneOfLid: PhoneOfLid;
  readonly #learn: (one: string, other: string | null) => void;

  constructor(
    outbox: Outbox,
    judgement: Judgement,
    counters: Counters,
    identity: Identity,
    phoneOfLid: PhoneOfLid,
    learn: (one: string, other: string | null) => void,
  ) {
    this.#outbox = outbox;
    this.#judgement = judgement;
    this.#counters = counters;
    this.#identity = identity;
    this.#phoneOfLid = phoneOfLid;
    this.#learn = learn;
  }

  /** Answers whether it was about one of ours. Counts only for a message whose key commit was recorded under the reporter's own epoch. */
  acknowledged(fact: Extract<Fact, { kind: "ack" }>, epoch: number, nowMs: number): boolean {
    const row = this.#outbox
      .byWaId(fact.waId)
      .find(
        (candidate) =>
          (candidate.commitEpoch1 === epoch || candidate.commitEpoch2 === epoch) &&
          this.#isAddressedTo(candidate, fact.to),
      );
    if (row === undefined) {
      this.#counters.add("ack_foreign");
      return false;
    }
    const event =
      fact.error === null
        ? ({ kind: "acknowledged" } as const)
        : ({ kind: "refused", code: fact.error } as const);
    this.#judgement.apply(row, event, {}, nowMs);
    return true;
  }

  received(fact: Extract<Fact, { kind: "receipt" }>, nowMs: number): void {
    const proof = PROOFS[fact.receipt];
    if (proof !== "sender") this.#learn(fact.chat, fact.chatPhone);
    for (const waId of fact.waIds) {
      const row = this.#outbox
        .byWaId(waId)
        .find(
          (candidate) =>
            isRecipient(candidate.recipient, fact.chat, fact.chatPhone, this.#phoneOfLid) ||
            (proof === "sender" && isOwn(fact.chat, this.#own)),
        );
      if (row === undefined) this.#counters.add("receipt_unmatched");
      else this.#judgement.apply(row, { kind: "receipt", proof }, {}, nowMs);
    }
  }

  /** The text of a message for whoever it was sent to, or our own companions; null for anyone else. */
  textFor(request: { waId: string; chat: string; chatPhone: string | null }): string | null {
    const row = this.#outbox
      .byWaId(request.waId)
      .find(
        (candidate) =>
          isRecipient(candidate.recipient, request.chat, request.chatPhone, this.#phoneOfLid) ||
          isOwn(request.chat, this.#own),
      );
    if (row === undefined || row.committedAttempt === 0 || row.gets >= GETS_MAX) {
      this.#counters.add("message_get_refused");
      return null;
    }
    this.#outbox.patch(row, { gets: row.gets + 1 });
    return this.#outbox.text(row.id);
  }

  get #own(): OwnAddresses {
    const { phone, lid } = this.#identity.state;
    return { phone, lid };
  }

  /** An acknowledgement comes from WhatsApp's server, so a LID nobody knows may be the recipient's. */
  #isAddressedTo(row: MessageRow, to: string): boolean {
    const phone = phoneOf(to);
    if (phone !== null) return phone === row.recipient;
    const lid = lidOf(to);
    if (lid === null) return false;
    const mapped = this.#phoneOfLid(lid);
    return mapped === null || mapped === row.recipient;
  }
}
