/**
 * A parsed packet made ready for the accepting batch: each reading of its text measured, sealed and
 * fingerprinted, because only D1 knows which reading the key takes. A reading that is too long or cannot be
 * carried is passed on by its length alone, for D1 to refuse.
 */
import type { MessageCategory } from "../domain/message-status.ts";
import {
  isCarriable,
  TEXT_LENGTH_MAX,
  textLength,
  type TextReadings,
} from "../domain/message-text.ts";
import type { SendTime } from "../domain/send-time.ts";
import type { AcceptMessage, PreparedText } from "./accept.ts";
import type { BodySeal, MessageRef } from "./body-seal.ts";
import type { Fingerprint } from "./fingerprint.ts";

/** One message as a caller wants it sent. */
export interface SendPacket {
  /** International digits. */
  to: string;
  text: TextReadings;
  time: SendTime;
  category: MessageCategory | null;
  lifeMs: number | null;
}

export interface PrepareTools {
  seal: BodySeal;
  fingerprint: Fingerprint;
}

const NO_READING: PreparedText = { length: 0, body: "", textMac: "", dupMac: "" };

export async function prepareMessage(
  tools: PrepareTools,
  ref: MessageRef,
  waid: string,
  packet: SendPacket,
  supersedes: number | null,
): Promise<AcceptMessage> {
  const { plain, decoded, auto } = packet.text;
  const prepare = (text: string) => prepareText(tools, ref, waid, packet.to, text);
  return {
    id: ref.id,
    to: packet.to,
    time: packet.time,
    category: packet.category,
    lifeMs: packet.lifeMs,
    plain: await prepare(plain),
    decoded: decoded === plain ? null : decoded === null ? NO_READING : await prepare(decoded),
    autoDecodes: auto === "decoded",
    supersedes,
  };
}

async function prepareText(
  tools: PrepareTools,
  ref: MessageRef,
  waid: string,
  to: string,
  text: string,
): Promise<PreparedText> {
  if (!isCarriable(text)) return NO_READING;
  const length = textLength(text);
  if (length === 0 || length > TEXT_LENGTH_MAX) return { ...NO_READING, length };
  const [body, textMac, dupMac] = await Promise.all([
    tools.seal.seal(ref, text),
    tools.fingerprint.text(text),
    tools.fingerprint.message(waid, to, text),
  ]);
  return { length, body, textMac, dupMac };
}
