/**
 * Every way a request or one of its messages can be refused. Two closed unions, because the old API answers on
 * two levels. Each wire (api/legacy, api/v1) renders them by one exhaustive switch; a new arm does not compile
 * until both say what it looks like.
 */

/** The whole request is refused; nothing is accepted, held or stored. */
export type RequestFailure =
  | { reason: "body_malformed"; detail: string }
  | { reason: "key_unknown" }
  | { reason: "address_not_allowed"; address: string }
  | { reason: "balance_expired" }
  | { reason: "package_expired" }
  | { reason: "too_many_messages"; count: number; max: number }
  | { reason: "balance_check_too_soon"; retryAfterMs: number }
  | { reason: "device_unknown" }
  | { reason: "message_unknown" }
  | { reason: "device_already_paired" }
  | { reason: "device_not_paired" }
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
  | { reason: "system_unavailable" };
