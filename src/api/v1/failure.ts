/** Refusals as /v1 words them. One exhaustive switch: a new reason does not compile until it has a sentence. */
import { addressText } from "../../domain/client-address.ts";
import type { MessageFailure, RequestFailure } from "../../domain/failure.ts";
import { unreachable } from "../../domain/result.ts";
import { ROUTE_UNKNOWN, SYSTEM_UNAVAILABLE, type Problem } from "../problem.ts";

export function problemOf(failure: RequestFailure): Problem {
  const code = failure.reason;
  const told = (status: number, sentence: string): Problem => ({ status, code, sentence });
  switch (failure.reason) {
    case "body_malformed":
      return told(422, failure.detail);
    case "key_unknown":
      return told(401, "This API key is unknown, revoked or suspended.");
    case "address_not_allowed":
      return told(403, `This API key may not be used from ${addressOf(failure.address)}.`);
    case "balance_expired":
      return told(403, "The balance has expired. Top up to send again.");
    case "package_expired":
      return told(403, "The device has no package in force.");
    case "too_many_messages":
      return told(
        422,
        `${failure.count} messages in one request; at most ${failure.max} are taken.`,
      );
    case "balance_check_too_soon":
      return {
        ...told(429, "The balance was asked for less than 15 minutes ago."),
        retryAfterS: Math.ceil(failure.retryAfterMs / 1000),
      };
    case "device_unknown":
      return told(404, "This account has no such device.");
    case "message_unknown":
      return told(404, "This account has no such message.");
    case "device_already_paired":
      return told(409, "The device is paired. Unpair it first.");
    case "device_not_paired":
      return told(409, "The device is not paired.");
    case "device_not_paused":
      return told(409, "The device is not paused.");
    case "too_many_devices":
      return told(409, `An account has at most ${failure.max} devices.`);
    case "message_not_waiting":
      return told(409, "The message has left already, or is on its way.");
    case "idempotency_key_reused":
      return told(422, "This Idempotency-Key came with another request within the last 24 hours.");
    case "api_key_unknown":
      return told(404, "This account has no such key.");
    case "too_many_keys":
      return told(
        409,
        `An account has at most ${failure.inUseMax} keys in use and makes at most ${failure.aDayMax} a day.`,
      );
    case "endpoint_unknown":
      return told(404, "This account has no such endpoint.");
    case "too_many_endpoints":
      return told(409, `An account has at most ${failure.max} endpoints.`);
    case "url_refused":
      return told(422, failure.sentence);
    case "request_unknown":
      return told(404, "The account's log has no such request; it is kept for 7 days.");
    case "address_not_refused":
      return told(409, "That request was not refused for its address.");
    case "test_key_refused":
      return told(403, "A test key may only send tests and read.");
    case "route_unknown":
      return ROUTE_UNKNOWN;
    case "system_unavailable":
      return SYSTEM_UNAVAILABLE;
    default:
      return unreachable(failure);
  }
}

/** The one message of a request, refused. */
export function problemOfMessage(failure: MessageFailure): Problem {
  const code = failure.reason;
  const told = (status: number, sentence: string): Problem => ({ status, code, sentence });
  switch (failure.reason) {
    case "number_invalid":
      return told(422, "to is not a mobile number that can exist.");
    case "text_invalid":
      return told(422, "text has 10 to 1,000 characters, or fewer where the account says so.");
    case "time_invalid":
      return told(422, "send_at is more than 366 days ahead.");
    case "recipient_opted_out":
      return told(409, "The recipient wants no messages from this device.");
    case "balance_short":
      return told(402, "The balance does not cover the price.");
    case "quota_used_up":
      return told(402, "The package has no messages left in this period.");
    case "device_unavailable":
      return told(409, "The device cannot send: it has no phone.");
    case "queue_too_long":
      return told(
        409,
        "So many messages wait at the device that this one would expire before its turn.",
      );
    case "account_restricted":
      return told(
        409,
        "WhatsApp lets this phone start no new chats for longer than this message lives; known numbers still work.",
      );
    case "system_unavailable":
      return SYSTEM_UNAVAILABLE;
    default:
      return unreachable(failure);
  }
}

function addressOf(hex: string): string {
  return hex === "" ? "an unknown address" : addressText(hex);
}
