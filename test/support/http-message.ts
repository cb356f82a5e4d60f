/**
 * HTTP messages as bytes: recorded requests of old clients and the answers to them, taken apart without any HTTP
 * library, so that what is judged is what crossed the wire. Refuses what is cut short; judges nothing.
 */
export interface HttpMessage {
  /** The request or status line. */
  firstLine: string;
  /** Names in lower case. */
  headers: Map<string, string>;
  body: Uint8Array;
}

const HEAD_END = [13, 10, 13, 10];
const LINE_END = [13, 10];

/** Null while the message is not complete; `ended` says that no more will come. */
export function readHttpMessage(bytes: Uint8Array, ended: boolean): HttpMessage | null {
  const headEnd = indexOf(bytes, HEAD_END, 0);
  if (headEnd < 0) return null;
  const [firstLine = "", ...lines] = textOf(bytes.subarray(0, headEnd)).split("\r\n");
  // "Go on with the body" stands before the answer itself.
  if (firstLine.startsWith("HTTP/1.1 100 ")) {
    return readHttpMessage(bytes.subarray(headEnd + HEAD_END.length), ended);
  }
  const headers = new Map(
    lines.map((line) => {
      const colon = line.indexOf(":");
      return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()] as const;
    }),
  );
  const rest = bytes.subarray(headEnd + HEAD_END.length);
  const body = bodyOf(rest, headers, ended);
  return body === null ? null : { firstLine, headers, body };
}

export function textOf(bytes: Uint8Array): string {
  return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
}

/** A recorded request with a customer's own key and waid, which are as long as the blanks. */
export function fillIn(recorded: string, caller: { apiKey: string; waid: string }): Uint8Array {
  return new TextEncoder().encode(
    recorded
      .replaceAll("APIKEYAPIKEYAPIKEYAPIKEYAPIKEY00", caller.apiKey)
      .replaceAll("WAIDXX", caller.waid),
  );
}

/** An answer with what differs from run to run blanked out. */
export function blankOut(answer: string, caller: { waid: string }): string {
  return answer
    .replace(/"sendingid":[1-9]\d{0,13}(?=,)/g, '"sendingid":SENDINGID')
    .replace(/"((?:WhatsApp )?Expired)":"\d{4}-\d{2}-\d{2}"/g, '"$1":"LASTDAY"')
    .replaceAll(caller.waid, "WAIDXX");
}

function bodyOf(rest: Uint8Array, headers: Map<string, string>, ended: boolean): Uint8Array | null {
  if (headers.get("transfer-encoding") === "chunked") return unchunked(rest);
  const length = headers.get("content-length");
  if (length !== undefined)
    return rest.length < Number(length) ? null : rest.subarray(0, Number(length));
  return ended ? rest : null;
}

function unchunked(rest: Uint8Array): Uint8Array | null {
  const body: number[] = [];
  for (let at = 0; ;) {
    const lineEnd = indexOf(rest, LINE_END, at);
    if (lineEnd < 0) return null;
    const length = Number.parseInt(textOf(rest.subarray(at, lineEnd)), 16);
    const start = lineEnd + LINE_END.length;
    if (length === 0) return Uint8Array.from(body);
    if (rest.length < start + length + LINE_END.length) return null;
    body.push(...rest.subarray(start, start + length));
    at = start + length + LINE_END.length;
  }
}

function indexOf(bytes: Uint8Array, wanted: number[], from: number): number {
  for (let at = from; at <= bytes.length - wanted.length; at += 1) {
    if (wanted.every((byte, offset) => bytes[at + offset] === byte)) return at;
  }
  return -1;
}
