/**
 * A customer's server in small: takes the webhooks of the demo account on this machine, checks each signature as the
 * documentation says, and tells what it got. Refuses what is not signed with the secret it was given.
 */
import { createHmac, timingSafeEqual } from "node:crypto";
import { createServer } from "node:http";
import type { IncomingMessage, Server } from "node:http";
import { z } from "zod";

const BODY_BYTES_MAX = 1_048_576;
const SECRET_PREFIX = "whsec_";

const bodyShape = z.object({ type: z.string(), data: z.record(z.string(), z.unknown()) });

export interface Delivery {
  /** The header webhook-id. */
  id: string;
  type: string;
  data: Record<string, unknown>;
  /** What was answered. */
  status: number;
}

export class Receiver {
  readonly url: string;
  readonly #server: Server;
  /** Null: nothing is taken yet. */
  secret: string | null = null;
  /** Told of every delivery that was taken. */
  heard: (delivery: Delivery) => void = () => undefined;

  private constructor(server: Server, port: number) {
    this.#server = server;
    this.url = `http://127.0.0.1:${port}/kabar`;
    server.on("request", (request, response) => {
      this.#take(request).then(
        (status) => response.writeHead(status).end(),
        () => response.writeHead(400).end(),
      );
    });
  }

  static async start(): Promise<Receiver> {
    const server = createServer();
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen(0, "127.0.0.1", resolve);
    });
    const bound = server.address();
    return new Receiver(server, typeof bound === "object" && bound !== null ? bound.port : 0);
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise<void>((resolve) => {
      this.#server.close(() => resolve());
    });
  }

  async #take(request: IncomingMessage): Promise<number> {
    const body = await read(request);
    if (body === null) return 413;
    if (this.secret === null) return 503;
    const id = headerOf(request, "webhook-id");
    const signed = `${id}.${headerOf(request, "webhook-timestamp")}.${body}`;
    if (!isSigned(signed, headerOf(request, "webhook-signature"), this.secret)) return 401;
    const { type, data } = bodyShape.parse(JSON.parse(body));
    const status = 200;
    this.heard({ id, type, data, status });
    return status;
  }
}

/** One of the signatures, separated by spaces, must be ours. */
function isSigned(text: string, header: string, secret: string): boolean {
  const key = Buffer.from(secret.slice(SECRET_PREFIX.length), "base64");
  const wanted = Buffer.from(`v1,${createHmac("sha256", key).update(text).digest("base64")}`);
  return header.split(" ").some((given) => {
    const bytes = Buffer.from(given);
    return bytes.length === wanted.length && timingSafeEqual(bytes, wanted);
  });
}

/** Null when it is too long. */
async function read(request: IncomingMessage): Promise<string | null> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length > BODY_BYTES_MAX) return null;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}

function headerOf(request: IncomingMessage, name: string): string {
  const value = request.headers[name];
  return typeof value === "string" ? value : "";
}
