/** What every handler finds in its context, and the few things all apis read from a request. No rules. */
import { addressHex } from "../domain/client-address.ts";
import type { RequestNote } from "./request-note.ts";
import type { Services } from "./services.ts";

export interface ApiEnv {
  Bindings: Cloudflare.Env;
  Variables: {
    requestId: string;
    services: Services;
    /** The key is not known, or was not looked up: so many of these may come that few are logged. */
    isStranger?: true;
    /** Set by a wire whose requests are logged. */
    note?: RequestNote;
  };
}

/** The platform's client address, never a forwarded header; null when the platform names none. */
export function clientAddress(request: Request): string | null {
  return addressHex(request.headers.get("cf-connecting-ip") ?? "");
}

/** The token of an `Authorization: Bearer` header; empty when there is none. */
export function bearerToken(request: Request): string {
  const header = request.headers.get("authorization") ?? "";
  return /^Bearer\s+(\S+)\s*$/i.exec(header)?.[1] ?? "";
}
