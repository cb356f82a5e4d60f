/**
 * Reading and making stanzas (WhatsApp's binary XML as objects). The codec itself is the client library's.
 */

import type { BinaryNode } from "@whiskeysockets/baileys";
import { SERVER } from "./jid.ts";

export type Stanza = BinaryNode;

export function children(node: Stanza | undefined): Stanza[] {
  return Array.isArray(node?.content) ? node.content : [];
}

export function child(node: Stanza | undefined, tag: string): Stanza | undefined {
  return children(node).find((one) => one.tag === tag);
}

/** The bytes a node holds; empty when it holds none. */
export function bytes(node: Stanza | undefined): Buffer {
  const content = node?.content;
  if (content === undefined || Array.isArray(content)) return Buffer.alloc(0);
  return typeof content === "string" ? Buffer.from(content) : Buffer.from(content);
}

export function integer(node: Stanza | undefined): number | undefined {
  const content = bytes(node);
  return content.length === 0 || content.length > 6
    ? undefined
    : content.readUIntBE(0, content.length);
}

export function bigEndian(value: number, length: number): Buffer {
  const result = Buffer.alloc(length);
  result.writeUIntBE(value, 0, length);
  return result;
}

export function element(
  tag: string,
  attrs: Record<string, string> = {},
  content?: Stanza[] | string | Uint8Array,
): Stanza {
  return content === undefined ? { tag, attrs } : { tag, attrs, content };
}

export function iqResult(request: Stanza, content?: Stanza[]): Stanza {
  return element("iq", { from: SERVER, type: "result", id: request.attrs["id"] ?? "" }, content);
}

export function iqError(request: Stanza, code: number, text: string): Stanza {
  const attrs = { from: SERVER, type: "error", id: request.attrs["id"] ?? "" };
  return element("iq", attrs, [element("error", { code: String(code), text })]);
}

/** A short name for counters: `iq set encrypt/list`, `message`, `receipt retry`. Never holds an address or an id. */
export function kindOf(node: Stanza): string {
  const { attrs } = node;
  const first = children(node)[0]?.tag;
  switch (node.tag) {
    case "iq":
      return ["iq", attrs["type"], [attrs["xmlns"], first].filter(Boolean).join("/")]
        .filter(Boolean)
        .join(" ");
    case "ack":
      return `ack ${attrs["class"] ?? ""}`;
    case "receipt":
      return `receipt ${attrs["type"] ?? "delivered"}`;
    case "message":
      return attrs["category"] === undefined ? "message" : `message ${attrs["category"]}`;
    case "presence":
      return `presence ${attrs["type"] ?? "name"}`;
    default:
      return first === undefined ? node.tag : `${node.tag} ${first}`;
  }
}
