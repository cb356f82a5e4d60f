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
import { nestsTooDeeply } from "../json-depth.ts";

export const BODY_BYTES_MAX = 65_536;

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
  packets: LegacyPacket[];
}

type JsonObject = Record<string, unknown>;

export function parseSend(body: string): Result<LegacySend, RequestFailure> {
  const object = parseObject(body);
  const packets = object?.["datapacket"];
  if (object === null || !Array.isArray(packets) || packets.length === 0) return malformed();
  return ok({ ...callerOf(object), packets: packets.map(parsePacket) });
}

export function parseBalance(body: string): Result<LegacyCaller, RequestFailure> {
  const object = parseObject(body);
  return object === null ? malformed() : ok(callerOf(object));
}

function malformed() {
  return err({ reason: "body_malformed", detail: "not a JSON object as documented" } as const);
}

function parseObject(body: string): JsonObject | null {
  if (nestsTooDeeply(body)) return null;
  try {
    const value: unknown = JSON.parse(body, keepDigits);
    return isObject(value) ? value : null;
  } catch {
    // Not JSON: a form post, an empty body, or nothing of ours.
    return null;
  }
}

/**
 * A text such as 12345678901234567890 or 1.50, posted as a number, would read otherwise as a double: it comes as
 * it was written. Whole numbers that a double carries stay numbers, so that 6.281234567890E+12 is dialled.
 */
function keepDigits(_key: string, value: unknown, context?: { source?: string }): unknown {
  if (typeof value !== "number" || Number.isSafeInteger(value)) return value;
  return context?.source ?? value;
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
