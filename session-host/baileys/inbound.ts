/**
 * From a decrypted stanza to the inbound messages the device stores. Pure: attributes and bytes in, values out. None for
 * what is no message to anybody: protocol traffic, reactions, key distribution. What reached us without its content, and our
 * own phone told us later, is a message like any other.
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
): InboundMessage[] {
  const { id, from } = attributes;
  if (id === undefined || from === undefined) return [];
  const message = decodeMessage(padded);
  if (message === null) return [];
  const fromMe = isOwn(from, own);
  if (attributes["category"] === "peer") return fromMe ? toldByPhone(message, attributes) : [];
  const chat = fromMe ? (attributes["recipient"] ?? from) : from;
  const content = contentOf(message);
  if (content === null || isIgnoredChat(chat)) return [];
  return [
    {
      waId: id,
      chat: jidNormalizedUser(chat),
      chatAlt: otherAddress(attributes, fromMe),
      fromMe,
      pushName: shortName(attributes["notify"]),
      sentAtMs: secondsToMs(attributes["t"]),
      ...content,
      offline: attributes["offline"] !== undefined,
    },
  ];
}

/** Messages that reached us as an empty place: Baileys asks our own phone for them, and this is its answer. */
function toldByPhone(
  { protocolMessage }: proto.IMessage,
  attributes: StanzaAttributes,
): InboundMessage[] {
  const answers = protocolMessage?.peerDataOperationRequestResponseMessage?.peerDataOperationResult;
  return (answers ?? []).flatMap(({ placeholderMessageResendResponse }) => {
    const told = decodeToldMessage(placeholderMessageResendResponse?.webMessageInfoBytes);
    const { id, remoteJid, fromMe } = told?.key ?? {};
    const content = contentOf(told?.message ?? {});
    if (!id || !remoteJid || content === null || isIgnoredChat(remoteJid)) return [];
    return [
      {
        waId: id,
        chat: jidNormalizedUser(remoteJid),
        chatAlt: null,
        fromMe: fromMe === true,
        pushName: shortName(told?.pushName ?? undefined),
        sentAtMs: secondsToMs(String(told?.messageTimestamp ?? "")),
        ...content,
        offline: attributes["offline"] !== undefined,
      },
    ];
  });
}

function shortName(name: string | undefined): string | null {
  return name?.slice(0, 200) ?? null;
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

function decodeMessage(padded: Uint8Array): proto.IMessage | null {
  try {
    return proto.Message.decode(unpadRandomMax16(padded));
  } catch {
    // Not a message at all: Baileys meets the same bytes next and refuses them to WhatsApp.
    return null;
  }
}

function decodeToldMessage(bytes: Uint8Array | null | undefined): proto.IWebMessageInfo | null {
  try {
    return bytes ? proto.WebMessageInfo.decode(bytes) : null;
  } catch {
    // What our phone says and nobody can read is nothing that could be stored.
    return null;
  }
}

function contentOf(message: proto.IMessage): Pick<InboundMessage, "kind" | "text"> | null {
  const inner = normalizeMessageContent(message.deviceSentMessage?.message ?? message);
  const type = getContentType(inner);
  if (inner === undefined || type === undefined || silentKinds.has(type)) return null;
  const plain = inner.conversation ?? inner.extendedTextMessage?.text ?? null;
  if (type === "conversation" || type === "extendedTextMessage")
    return { kind: "text", text: plain?.slice(0, TEXT_MAX) ?? null };
  const caption =
    inner.imageMessage?.caption ??
    inner.videoMessage?.caption ??
    inner.documentMessage?.caption ??
    null;
  return {
    kind: type.replace(/Message(V\d+)?$/, "").slice(0, 40) || "other",
    text: caption?.slice(0, TEXT_MAX) ?? null,
  };
}
