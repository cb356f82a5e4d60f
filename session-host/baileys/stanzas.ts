/**
 * Acks and receipts read from the raw stanzas, before Baileys buffers and merges them. Keeps their order, also
 * where the phone number of a LID must be looked up first. Reports facts; judges nothing.
 */
import { getBinaryNodeChildren, isLidUser, jidNormalizedUser } from "@whiskeysockets/baileys";
import type { BinaryNode } from "@whiskeysockets/baileys";
import type { Fact } from "../../src/bridge/device-frames.ts";
import { whatsAppId } from "../../src/bridge/wire.ts";
import type { StanzaFact } from "../whatsapp.ts";
import { isIgnoredChat, isOwn, secondsToMs } from "./inbound.ts";
import type { OwnAddresses } from "./inbound.ts";

type ReceiptKind = Extract<Fact, { kind: "receipt" }>["receipt"];

const IDS_PER_FACT = 300;

export interface StanzaOptions {
  own(): OwnAddresses;
  /** The phone-number address of a LID, if known. */
  phoneOfLid(lid: string): Promise<string | null>;
  report(fact: StanzaFact): void;
}

/** `inactive` comes from a device that is not in the foreground: the text is there all the same. */
function receiptKind(type: string | undefined): ReceiptKind | null {
  switch (type) {
    case undefined:
    case "inactive":
      return "delivered";
    case "read":
    case "played":
    case "sender":
      return type;
    default:
      return null;
  }
}

export class StanzaReporter {
  readonly #options: StanzaOptions;
  #tail: Promise<void> = Promise.resolve();

  constructor(options: StanzaOptions) {
    this.#options = options;
  }

  onAck(node: BinaryNode): void {
    const { id, from, error } = node.attrs;
    if (id === undefined || from === undefined || isIgnoredChat(from)) return;
    const code = error === undefined ? null : Number(error);
    this.#inOrder(() =>
      this.#options.report({
        kind: "ack",
        waId: id,
        to: jidNormalizedUser(from),
        error: code === null || Number.isSafeInteger(code) ? code : 0,
      }),
    );
    if (code === 463) this.report({ kind: "restricted", untilMs: null });
  }

  onReceipt(node: BinaryNode): void {
    const { from, recipient, type, t } = node.attrs;
    const receipt = receiptKind(type);
    if (from === undefined || receipt === null || isIgnoredChat(from)) return;
    const fromOwn = isOwn(from, this.#options.own());
    // Our own phone names the chat as the recipient; what it says about its own reading is no proof for us.
    if (fromOwn && receipt !== "sender" && recipient !== undefined) return;
    const chat = jidNormalizedUser(fromOwn ? (recipient ?? from) : from);
    // An id the bridge cannot carry is none of ours, and must not cost the others of this receipt.
    const waIds = receiptIds(node).filter((id) => whatsAppId.safeParse(id).success);
    this.#inOrder(async () => {
      const chatPhone = isLidUser(chat) ? await this.#options.phoneOfLid(chat) : null;
      for (let start = 0; start < waIds.length; start += IDS_PER_FACT) {
        const part = waIds.slice(start, start + IDS_PER_FACT);
        this.#options.report({
          kind: "receipt",
          receipt,
          waIds: part,
          chat,
          chatPhone,
          atMs: secondsToMs(t),
        });
      }
    });
  }

  /** Behind everything that came before it on the wire. */
  report(fact: StanzaFact): void {
    this.#inOrder(() => this.#options.report(fact));
  }

  #inOrder(task: () => void | Promise<void>): void {
    // A look-up fails only when the store has failed, and then the session is over.
    this.#tail = this.#tail.then(task).catch(() => undefined);
  }
}

function receiptIds(node: BinaryNode): string[] {
  const ids = node.attrs["id"] === undefined ? [] : [node.attrs["id"]];
  const list = Array.isArray(node.content) ? node.content[0] : undefined;
  if (list?.tag !== "list") return ids;
  for (const item of getBinaryNodeChildren(list, "item")) {
    if (item.attrs["id"] !== undefined) ids.push(item.attrs["id"]);
  }
  return ids;
}
