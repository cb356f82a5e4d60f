/**
 * From a refusal in the log to the key's allow-list: adds the refused address, or its /64, to the key that the line
 * names. The caller's own key must be of the same account and allowed from where it asks.
 */
import { readAccess } from "../directory/access.ts";
import { allowAddress } from "../directory/address-rules.ts";
import { readLines } from "../directory/request-log.ts";
import { network64, type AddressRange } from "../domain/client-address.ts";
import type { RequestFailure } from "../domain/failure.ts";
import { err, ok, type Result } from "../domain/result.ts";
import type { Caller } from "./device-answer.ts";
import type { LogReadTools } from "./get-requests.ts";
import { LOG_KEPT_MS } from "./request-log.ts";

export interface AllowedAddress {
  keyId: number;
  range: AddressRange;
}

export async function allowRefusedAddress(
  { db, clock }: LogReadTools,
  caller: Caller,
  requestId: string,
  width: "address" | "64",
): Promise<Result<AllowedAddress, RequestFailure>> {
  const nowMs = clock();
  const access = await readAccess(db, { ...caller, waid: null }, nowMs);
  if (!access.ok) return access;
  const { accountId } = access.value;
  const [found] = await readLines(db, accountId, {
    before: null,
    sinceMs: nowMs - LOG_KEPT_MS,
    untilMs: null,
    requestId,
    code: null,
    keyPrefix: null,
    address: null,
    refusalsOnly: false,
    limit: 1,
  });
  if (found === undefined) return err({ reason: "request_unknown" });
  const { line, keyId } = found;
  const isRefusedAddress = line.why?.some(({ reason }) => reason === "address_not_allowed");
  if (isRefusedAddress !== true || line.address === "")
    return err({ reason: "address_not_refused" });
  const range =
    width === "64" ? network64(line.address) : { low: line.address, high: line.address };
  if (range === null) {
    return err({ reason: "body_malformed", detail: "prefix: only an IPv6 address has a /64." });
  }
  const isAdded = await allowAddress(db, { accountId, keyId, range });
  return isAdded ? ok({ keyId, range }) : err({ reason: "api_key_unknown" });
}
