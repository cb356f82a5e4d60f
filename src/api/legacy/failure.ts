/**
 * Refusals as the old API words them, on its two levels. One exhaustive switch each: a new reason does not compile
 * until it says here what old clients read.
 */
import type { MessageFailure, RequestFailure } from "../../domain/failure.ts";
import { unreachable } from "../../domain/result.ts";

export interface GlobalStatus {
  globalstatus: number;
  globalstatustext: string;
}

export const GLOBAL_SUCCESS: GlobalStatus = { globalstatus: 10, globalstatustext: "Success" };

export function globalStatus(failure: RequestFailure): GlobalStatus {
  const { reason } = failure;
  switch (reason) {
    case "body_malformed":
    case "request_unknown":
    case "address_not_refused":
    case "test_key_refused":
    case "route_unknown":
    case "message_unknown":
    // The old API has no call that these could answer.
    case "message_not_waiting":
    case "idempotency_key_reused":
    case "too_many_devices":
    case "api_key_unknown":
    case "too_many_keys":
    case "endpoint_unknown":
    case "too_many_endpoints":
    case "url_refused":
      return { globalstatus: 20, globalstatustext: "Json Post Error" };
    // An old client must not learn whether a key or a device exists.
    case "key_unknown":
    case "device_unknown":
      return { globalstatus: 30, globalstatustext: "ApiKey not register" };
    case "address_not_allowed":
      return { globalstatus: 40, globalstatustext: "Ip address not register" };
    case "balance_expired":
    case "package_expired":
      return { globalstatus: 50, globalstatustext: "Expired Balance" };
    case "too_many_messages":
      return { globalstatus: 55, globalstatustext: "Maximum Data" };
    case "balance_check_too_soon":
      return { globalstatus: 35, globalstatustext: "Check Balance Limit" };
    // Only a balance check fails as a whole; a send that fails so answers 90 for each packet.
    case "system_unavailable":
    case "device_already_paired":
    case "device_not_paired":
    case "device_not_paused":
      return { globalstatus: 25, globalstatustext: "Error Check Balance" };
    default:
      return unreachable(reason);
  }
}

export interface SendingStatus {
  sendingstatus: number;
  sendingstatustext: string;
}

export const SENDING_SUCCESS: SendingStatus = { sendingstatus: 10, sendingstatustext: "success" };

export function sendingStatus(failure: MessageFailure): SendingStatus {
  const { reason } = failure;
  switch (reason) {
    case "number_invalid":
      return { sendingstatus: 60, sendingstatustext: "Invalid Number" };
    case "text_invalid":
    case "time_invalid":
    case "recipient_opted_out":
      return { sendingstatus: 70, sendingstatustext: "Invalid Message" };
    case "balance_short":
    case "quota_used_up":
      return { sendingstatus: 80, sendingstatustext: "Minimum Balance" };
    case "device_unavailable":
    case "queue_too_long":
    case "account_restricted":
    case "system_unavailable":
      return { sendingstatus: 90, sendingstatustext: "System Error" };
    default:
      return unreachable(reason);
  }
}
