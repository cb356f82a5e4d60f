/**
 * Reading what old clients post: JSON whatever the content type says, scalars as strings or numbers. One bad
 * packet fails alone. Refuses only what cannot be a request at all.
 */
import { parseApiKey } from "../../domain/api-key.ts";
import type { MessageFailure, RequestFailure } from "../../domain/failure.ts";
import { readText } from "../../domain/message-text.ts";
import { parsePhoneNumber } from "../../domain/phone-number.ts";
import { err, ok, type Result } from "../../domain/result.ts";
import { parseWallTime } from "../../domain/send-time.ts";
import type { SendPacket } from "../../gateway/prepare-message.ts";
import { isOverbuilt } from "../json-bounds.ts";
import { isInexact, withWrittenNumbers } from "./written-numbers.ts";

export const BODY_BYTES_MAX = 65_536;
export const PACKETS_MAX = 5;

export interface LegacyCaller {
  /** Null for what can be no key, so that it need not be looked up. */
  apiKey: string | null;
  /** Null for what can be no waid. */
  waid: string | null;
}

export interface LegacyPacket {
  /** The number as it came, for the answer of a refused packet. */
  written: string;
  packet: Result<SendPacket, MessageFailure>;
}

export interface LegacySend extends LegacyCaller {
  /** As many as came; of more than are taken none is sent, so those beyond are not read. */
  packets: LegacyPacket[];
}

const UNREAD: LegacyPacket = { written: "", packet: err({ reason: "number_invalid" }) };

type JsonObject = Record<string, unknown>;

export function parseSend(body: string): Result<LegacySend, RequestFailure> {
  const object = parseObject(body);
  const packets = object?.["datapacket"];
  if (object === null || !Array.isArray(packets) || packets.length === 0) return malformed();
  const read = packets.slice(0, PACKETS_MAX).map(parsePacket);
  const unread = Array.from({ length: packets.length - read.length }, () => UNREAD);
  return ok({ ...callerOf(object), packets: [...read, ...unread] });
}

export function parseBalance(body: string): Result<LegacyCaller, RequestFailure> {
  const object = parseObject(body);
  return object === null ? malformed() : ok(callerOf(object));
}

function malformed() {
  return err({ reason: "body_malformed", detail: "not a JSON object as documented" } as const);
}

function parseObject(body: string): JsonObject | null {
  if (isOverbuilt(body)) return null;
  try {
    const value: unknown = JSON.parse(body);
    if (!isObject(value)) return null;
    return scalarsOf(value).some(isInexact)
      ? (JSON.parse(withWrittenNumbers(body)) as JsonObject)
      : value;
  } catch {
    // Not JSON: a form post, an empty body, or nothing of ours.
    return null;
  }
}

/** All that is read of a request. */
function scalarsOf({ apikey, waid, datapacket }: JsonObject): unknown[] {
  const packets = Array.isArray(datapacket) ? datapacket.slice(0, PACKETS_MAX) : [];
  const fields = packets
    .filter(isObject)
    .flatMap(({ number, message, sendingdatetime }) => [number, message, sendingdatetime]);
  return [apikey, waid, ...fields];
}

function isObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function callerOf(object: JsonObject): LegacyCaller {
  const waid = scalar(object["waid"])?.trim() ?? "";
  return {
    apiKey: parseApiKey(scalar(object["apikey"]) ?? ""),
    waid: /^[A-Za-z0-9]{3,16}$/.test(waid) ? waid : null,
  };
}

/** A string, or a number as the string that it looks like. */
function scalar(value: unknown): string | null {
  if (typeof value === "string") return value;
  return typeof value === "number" ? String(value) : null;
}

function parsePacket(value: unknown): LegacyPacket {
  const packet = isObject(value) ? value : {};
  const written = scalar(packet["number"]) ?? "";
  return { written, packet: readPacket(packet, written) };
}

function readPacket(packet: JsonObject, written: string): Result<SendPacket, MessageFailure> {
  const to = parsePhoneNumber(written);
  if (to === null) return err({ reason: "number_invalid" });
  const message = scalar(packet["message"]);
  if (message === null) return err({ reason: "text_invalid", detail: "missing" });
  const time = parseTime(packet["sendingdatetime"]);
  if (!time.ok) return err({ reason: "time_invalid" });
  return ok({ to, text: readText(message), time: time.value, category: null, lifeMs: null });
}

function parseTime(value: unknown) {
  if (value === undefined || value === null) return parseWallTime("");
  const written = scalar(value);
  return written === null ? err("impossible" as const) : parseWallTime(written);
}
