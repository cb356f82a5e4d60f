/**
 * Reading a JSON body from someone who may mean harm: bounded in bytes, whatever the headers promise, and in depth
 * before it is parsed. Refuses to know what the body is for.
 */
import { err, ok, type Result } from "../domain/result.ts";
import { nestsTooDeeply } from "./json-depth.ts";
import { BODY_TOO_LARGE, JSON_MALFORMED, type Problem } from "./problem.ts";

/** The text of a JSON body, proved to parse; empty when there is none. */
export async function readJsonText(
  request: Request,
  bytesMax: number,
): Promise<Result<string, Problem>> {
  const body = await readText(request, bytesMax);
  if (!body.ok || body.value === "") return body;
  return isJson(body.value) ? body : err(JSON_MALFORMED);
}

async function readText(request: Request, bytesMax: number): Promise<Result<string, Problem>> {
  if (Number(request.headers.get("content-length") ?? 0) > bytesMax) return err(BODY_TOO_LARGE);
  if (request.body === null) return ok("");
  const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: false });
  let text = "";
  let bytes = 0;
  try {
    for await (const chunk of request.body) {
      bytes += chunk.byteLength;
      if (bytes > bytesMax) return err(BODY_TOO_LARGE);
      text += decoder.decode(chunk, { stream: true });
    }
    return ok(text + decoder.decode());
  } catch {
    // Not UTF-8, or the client went away: there is no body to speak of.
    return err(JSON_MALFORMED);
  }
}

function isJson(text: string): boolean {
  if (nestsTooDeeply(text)) return false;
  try {
    JSON.parse(text);
    return true;
  } catch {
    // Whatever else it is, the caller says so.
    return false;
  }
}
