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

/** The body as text, or null when it is longer than `bytesMax` or not UTF-8. Reads no further than that. */
export async function boundedBody(request: Request, bytesMax: number): Promise<string | null> {
  const announced = request.headers.get("content-length");
  if (announced !== null && Number(announced) > bytesMax) return null;
  try {
    // An announced length is kept to by the runtime; reading in one piece is half the work, and its stream is never made.
    const bytes =
      announced === null
        ? await firstBytes(request.body, bytesMax)
        : new Uint8Array(await request.arrayBuffer());
    if (bytes === null || bytes.byteLength > bytesMax) return null;
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: false }).decode(bytes);
  } catch {
    // Not UTF-8, or the client went away: there is no body to speak of.
    return null;
  }
}

/** Null when there are more than `bytesMax`. */
async function firstBytes(
  body: ReadableStream<Uint8Array> | null,
  bytesMax: number,
): Promise<Uint8Array | null> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of body ?? []) {
    length += chunk.byteLength;
    if (length > bytesMax) return null;
    chunks.push(chunk);
  }
  const bytes = new Uint8Array(length);
  let offset = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, offset);
    offset += chunk.byteLength;
  }
  return bytes;
}
