/** What every handler finds in its context, and the few things all apis read from a request. No rules. */
import { addressHex } from "../domain/client-address.ts";
import type { Services } from "./services.ts";

export interface ApiEnv {
  Bindings: Cloudflare.Env;
  Variables: { requestId: string; services: Services };
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

/** The body as text, or null when it is longer than `bytesMax` or not UTF-8. Reads no further than that. */
export async function boundedBody(request: Request, bytesMax: number): Promise<string | null> {
  if (Number(request.headers.get("content-length") ?? 0) > bytesMax) return null;
  if (request.body === null) return "";
  const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: false });
  let text = "";
  let bytes = 0;
  try {
    for await (const chunk of request.body) {
      bytes += chunk.byteLength;
      if (bytes > bytesMax) return null;
      text += decoder.decode(chunk, { stream: true });
    }
    return text + decoder.decode();
  } catch {
    // Not UTF-8, or the client went away: there is no body to speak of.
    return null;
  }
}
