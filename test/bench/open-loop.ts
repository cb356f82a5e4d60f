/**
 * Requests at fixed rates, each at its own time whatever became of those before it, as strangers send them. A latency
 * counts from the moment a request was due, so that a server that stalls is not spared the requests it kept away.
 * Every answer is judged; one that is wrong is no measurement and throws.
 */
import { Agent, request } from "node:http";

const TIMEOUT_MS = 15_000;
const TICK_MS = 1;

export interface Shot {
  /** Answers are counted by it. */
  kind: string;
  method: "GET" | "POST";
  path: string;
  headers: Record<string, string>;
  /** Pieces are sent one by one, without a length; null for no body. */
  body: string | Uint8Array | Uint8Array[] | null;
  isRight(status: number, body: string): boolean;
}

export interface Stream {
  perSecond: number;
  next(): Shot;
}

export interface Answered {
  kind: string;
  latencyMs: number;
}

/** Ends when everything that was due within these seconds is answered. */
export async function offer(
  url: string,
  streams: readonly Stream[],
  seconds: number,
): Promise<Answered[]> {
  const agent = new Agent({ keepAlive: true, maxSockets: 256 });
  const startMs = performance.now();
  const endMs = startMs + seconds * 1_000;
  const waiting: Promise<Answered>[] = [];
  // The streams never fall on one beat.
  const dueMs = streams.map(({ perSecond }, at) => startMs + (500 / perSecond) * (1 + at / 3));
  while (performance.now() < endMs) {
    const nowMs = performance.now();
    streams.forEach((stream, at) => {
      for (let due = dueMs[at] ?? endMs; due <= nowMs && due < endMs; due = dueMs[at] ?? endMs) {
        waiting.push(fire(agent, url, stream.next(), due));
        dueMs[at] = due + 1_000 / stream.perSecond;
      }
    });
    await new Promise((resolve) => setTimeout(resolve, TICK_MS));
  }
  try {
    return await Promise.all(waiting);
  } finally {
    agent.destroy();
  }
}

function fire(agent: Agent, url: string, shot: Shot, dueMs: number): Promise<Answered> {
  const { kind, method, path, body } = shot;
  const length = body === null || Array.isArray(body) ? null : Buffer.byteLength(body);
  const headers = length === null ? shot.headers : { ...shot.headers, "content-length": length };
  return new Promise((resolve, reject) => {
    const outgoing = request(
      `${url}${path}`,
      { agent, method, headers, timeout: TIMEOUT_MS },
      (response) => {
        const chunks: Buffer[] = [];
        response.on("error", reject);
        response.on("data", (chunk: Buffer) => chunks.push(chunk));
        response.on("end", () => {
          const latencyMs = performance.now() - dueMs;
          const text = Buffer.concat(chunks).toString("utf8");
          if (shot.isRight(response.statusCode ?? 0, text)) resolve({ kind, latencyMs });
          else reject(new Error(`${kind} was answered ${response.statusCode}: ${text}`));
        });
      },
    );
    outgoing.on("timeout", () => outgoing.destroy(new Error(`${kind} was not answered`)));
    outgoing.on("error", reject);
    for (const piece of Array.isArray(body) ? body : []) outgoing.write(piece);
    outgoing.end(body === null || Array.isArray(body) ? undefined : body);
  });
}
