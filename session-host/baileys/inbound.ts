/**
 * From a decrypted stanza to the inbound message the device stores. Pure: attributes and bytes in, a value or null
 * out. Null for what is no message to anybody: protocol traffic, reactions, key distribution.
 */
import {
  areJidsSameUser,
  getContentType,
  isJidBroadcast,
  isJidGroup,
  isJidNewsletter,
  jidNormalizedUser,
  normalizeMessageContent,
  proto,
  unpadRandomMax16,
} from "@whiskeysockets/baileys";
import { jid } from "../../src/bridge/wire.ts";
import type { InboundMessage } from "../../src/bridge/device-frames.ts";

export interface StanzaAttributes {
  [name: string]: string;
}

export interface OwnAddresses {
  phone: string | undefined;
  lid: string | undefined;
}

const silentKinds = new Set([
  "protocolMessage",
  "senderKeyDistributionMessage",
  "messageContextInfo",
  "reactionMessage",
  "encReactionMessage",
  "pollUpdateMessage",
  "keepInChatMessage",
  "pinInChatMessage",
  "deviceSentMessage",
]);
const TEXT_MAX = 70_000;

export function isOwn(address: string | undefined, own: OwnAddresses): boolean {
  if (address === undefined) return false;
  return areJidsSameUser(address, own.phone) || areJidsSameUser(address, own.lid);
}

/** Chats this gateway has nothing to do with; Baileys refuses them without decrypting. */
export function isIgnoredChat(chat: string): boolean {
  return Boolean(isJidGroup(chat) || isJidBroadcast(chat) || isJidNewsletter(chat));
}

export function describeInbound(
  attributes: StanzaAttributes,
  padded: Uint8Array,
  own: OwnAddresses,
): InboundMessage | null {
  const { id, from } = attributes;
  if (id === undefined || from === undefined || attributes["category"] === "peer") return null;
  const content = decodeContent(padded);
  if (content === null) return null;
  const fromMe = isOwn(from, own);
  const chat = fromMe ? (attributes["recipient"] ?? from) : from;
  if (isIgnoredChat(chat)) return null;
  return {
    waId: id,
    chat: jidNormalizedUser(chat),
    chatAlt: otherAddress(attributes, fromMe),
    fromMe,
    pushName: attributes["notify"]?.slice(0, 200) ?? null,
    sentAtMs: secondsToMs(attributes["t"]),
    kind: content.kind,
    text: content.text?.slice(0, TEXT_MAX) ?? null,
    offline: attributes["offline"] !== undefined,
  };
}

export function secondsToMs(seconds: string | undefined): number {
  const value = Number(seconds);
  return value > 0 && Number.isSafeInteger(value * 1000) && Number.isInteger(value)
    ? value * 1000
    : 0;
}

function otherAddress(attributes: StanzaAttributes, fromMe: boolean): string | null {
  const named = fromMe
    ? (attributes["recipient_pn"] ??
      attributes["recipient_lid"] ??
      attributes["peer_recipient_pn"] ??
      attributes["peer_recipient_lid"])
    : (attributes["sender_pn"] ?? attributes["sender_lid"]);
  // Without a readable one the text is the chat's all the same.
  return named === undefined ? null : (jid.safeParse(jidNormalizedUser(named)).data ?? null);
}

function decodeContent(padded: Uint8Array): { kind: string; text: string | null } | null {
  let message: proto.IMessage;
  try {
    message = proto.Message.decode(unpadRandomMax16(padded));
  } catch {
    // Not a message at all: Baileys meets the same bytes next and refuses them to WhatsApp.
    return null;
  }
  const inner = normalizeMessageContent(message.deviceSentMessage?.message ?? message);
  const type = getContentType(inner);
  if (inner === undefined || type === undefined || silentKinds.has(type)) return null;
  const plain = inner.conversation ?? inner.extendedTextMessage?.text ?? null;
  if (type === "conversation" || type === "extendedTextMessage")
    return { kind: "text", text: plain };
  const caption =
    inner.imageMessage?.caption ??
    inner.videoMessage?.caption ??
    inner.documentMessage?.caption ??
    null;
  return { kind: type.replace(/Message(V\d+)?$/, "").slice(0, 40) || "other", text: caption };
}
