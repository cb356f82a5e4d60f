/**
 * Every way a request or one of its messages can be refused. Two closed unions, because the old API answers on
 * two levels. Each wire (api/legacy, api/v1) renders them by one exhaustive switch; a new arm does not compile
 * until both say what it looks like.
 */

/** The whole request is refused; nothing is accepted, held or stored. */
export type RequestFailure =
  | { reason: "body_malformed"; detail: string }
  /** `isForced`: asked for by a documented number; the key is known. */
  | { reason: "key_unknown"; isForced?: true }
  | { reason: "address_not_allowed"; address: string }
  | { reason: "balance_expired" }
  | { reason: "package_expired" }
  | { reason: "too_many_messages"; count: number; max: number }
  | { reason: "balance_check_too_soon"; retryAfterMs: number }
  | { reason: "device_unknown" }
  | { reason: "message_unknown" }
  | { reason: "device_already_paired" }
  | { reason: "device_not_paired" }
  | { reason: "device_not_paused" }
  | { reason: "too_many_devices"; max: number }
  | { reason: "message_not_waiting" }
  | { reason: "idempotency_key_reused" }
  | { reason: "api_key_unknown" }
  | { reason: "too_many_keys"; inUseMax: number; aDayMax: number }
  | { reason: "endpoint_unknown" }
  | { reason: "too_many_endpoints"; max: number }
  /** The address of a webhook is not allowed; the sentence says why. */
  | { reason: "url_refused"; sentence: string }
  | { reason: "request_unknown" }
  | { reason: "address_not_refused" }
  | { reason: "test_key_refused" }
  | { reason: "route_unknown" }
  | { reason: "system_unavailable" };

/** One message of a request is refused; its neighbours are not. */
export type MessageFailure =
  | { reason: "number_invalid" }
  | { reason: "text_invalid"; detail: string }
  | { reason: "time_invalid" }
  | { reason: "recipient_opted_out" }
  | { reason: "balance_short" }
  | { reason: "quota_used_up" }
  | { reason: "device_unavailable" }
  /** So much waits before it that it could not leave within its life. */
  | { reason: "queue_too_long" }
  /** WhatsApp lets this phone start no new chats for longer than the message lives. */
  | { reason: "account_restricted" }
  | { reason: "system_unavailable" };
