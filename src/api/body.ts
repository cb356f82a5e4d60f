/**
 * Reading a request's body from someone who may mean harm: bounded in bytes, whatever the headers promise, and UTF-8 or
 * nothing. Refuses to know what the body is for.
 */
import { err, ok, type Result } from "../domain/result.ts";

export type BodyFailure = "too_large" | "not_utf8";

/** The text of the body, empty when there is none. Reads no further than `bytesMax`. */
export async function boundedText(
  request: Request,
  bytesMax: number,
): Promise<Result<string, BodyFailure>> {
  const announced = request.headers.get("content-length");
  if (announced !== null && Number(announced) > bytesMax) return err("too_large");
  try {
    // An announced length is kept to by the runtime; reading in one piece is half the work, and its stream is never made.
    const bytes =
      announced === null
        ? await firstBytes(request.body, bytesMax)
        : new Uint8Array(await request.arrayBuffer());
    if (bytes === null || bytes.byteLength > bytesMax) return err("too_large");
    return ok(new TextDecoder("utf-8", { fatal: true, ignoreBOM: false }).decode(bytes));
  } catch {
    // Not UTF-8, or the client went away: there is no body to speak of.
    return err("not_utf8");
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
