/** Refusals as /v1 words them. One exhaustive switch: a new reason does not compile until it has a sentence. */
import type { RequestFailure } from "../../domain/failure.ts";
import { unreachable } from "../../domain/result.ts";
import { ROUTE_UNKNOWN, SYSTEM_UNAVAILABLE, type Problem } from "../problem.ts";

export function problemOf(failure: RequestFailure): Problem {
  const code = failure.reason;
  switch (failure.reason) {
    case "body_malformed":
      return { status: 422, code, sentence: failure.detail };
    case "key_unknown":
      return { status: 401, code, sentence: "This API key is unknown, revoked or suspended." };
    case "address_not_allowed":
      return {
        status: 403,
        code,
        sentence: `This API key may not be used from ${readable(failure.address)}.`,
      };
    case "balance_expired":
      return { status: 403, code, sentence: "The balance has expired. Top up to send again." };
    case "package_expired":
      return { status: 403, code, sentence: "The device has no package in force." };
    case "too_many_messages":
      return {
        status: 422,
        code,
        sentence: `${failure.count} messages in one request; at most ${failure.max} are taken.`,
      };
    case "balance_check_too_soon":
      return {
        status: 429,
        code,
        sentence: "The balance was asked for less than 15 minutes ago.",
        retryAfterS: Math.ceil(failure.retryAfterMs / 1000),
      };
    case "device_unknown":
      return { status: 404, code, sentence: "This account has no such device." };
    case "message_unknown":
      return { status: 404, code, sentence: "This account has no such message." };
    case "device_already_paired":
      return { status: 409, code, sentence: "The device is paired. Unpair it first." };
    case "device_not_paired":
      return { status: 409, code, sentence: "The device is not paired." };
    case "route_unknown":
      return ROUTE_UNKNOWN;
    case "system_unavailable":
      return SYSTEM_UNAVAILABLE;
    default:
      return unreachable(failure);
  }
}

/** Fixed-width hex as an address that a person knows. */
function readable(hex: string): string {
  if (hex === "") return "an unknown address";
  const groups = hex.match(/.{4}/g) ?? [];
  if (!hex.startsWith("00000000000000000000ffff")) return groups.join(":");
  return (hex.slice(24).match(/../g) ?? []).map((byte) => Number.parseInt(byte, 16)).join(".");
}
