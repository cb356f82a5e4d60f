/** Reads a decrypted message: the text a phone would show, and whether it is a copy of one the account sent itself. */

import { proto } from "@whiskeysockets/baileys";

export type ReadMessage = { text: string | undefined; sentTo: string | undefined; kind: string };

export function readMessage(plaintext: Uint8Array): ReadMessage {
  const message = proto.Message.decode(plaintext);
  const copy = message.deviceSentMessage;
  const inner = copy?.message ?? message;
  return { text: textOf(inner), sentTo: copy?.destinationJid ?? undefined, kind: kindOf(inner) };
}

export function writeText(text: string): Uint8Array {
  return proto.Message.encode({ conversation: text }).finish();
}

/** What a person's other devices get: the message and whom it went to. */
export function writeSentCopy(text: string, sentTo: string): Uint8Array {
  return proto.Message.encode({
    deviceSentMessage: { destinationJid: sentTo, message: { conversation: text } },
  }).finish();
}

function textOf(message: proto.IMessage): string | undefined {
  return message.conversation ?? message.extendedTextMessage?.text ?? undefined;
}

function kindOf(message: proto.IMessage): string {
  const kinds = Object.entries(message).filter(
    ([name, value]) => value !== null && value !== undefined && name !== "messageContextInfo",
  );
  return kinds[0]?.[0] ?? "empty";
}
