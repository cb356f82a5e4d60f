/**
 * A customer's server, apart from the product: keeps every request as it came, may be taken down and put up again on
 * the same port, and answers as told. Signatures are made anew by the standardwebhooks package
 * and compared.
 */
import { createServer } from "node:http";
import type { Server, ServerResponse } from "node:http";
import { Webhook } from "standardwebhooks";

export interface Received {
  path: string;
  id: string;
  contentType: string;
  headers: Record<string, string>;
  body: string;
  /** The sender was answered 2xx. */
  isTaken: boolean;
}

export class Receiver {
  readonly received: Received[] = [];
  /** What the next requests are answered; those to paths below /500 always get 500. */
  status = 200;
  /** Whether they are answered at all: `hang` never does, `close` breaks off in the middle of its answer. */
  manner: "answer" | "hang" | "close" = "answer";
  /** Whether it answers with what it was sent. */
  echoes = false;
  readonly #port: number;
  #server: Server;

  private constructor(server: Server, port: number) {
    this.#server = server;
    this.#port = port;
  }

  static async start(): Promise<Receiver> {
    const server = createServer();
    const port = await listen(server, 0);
    const receiver = new Receiver(server, port);
    receiver.#serve();
    return receiver;
  }

  url(path: string): string {
    return `http://127.0.0.1:${this.#port}${path}`;
  }

  at(path: string): Received[] {
    return this.received.filter((one) => one.path === path);
  }

  /** Bodies of a path as JSON, in the order in which they came. */
  json(path: string): { type: string; data: Record<string, unknown> }[] {
    return this.at(path).map(
      ({ body }) => JSON.parse(body) as { type: string; data: Record<string, unknown> },
    );
  }

  forms(path: string): [string, string][][] {
    return this.at(path).map(({ body }) => [...new URLSearchParams(body)]);
  }

  async down(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise<void>((resolve) => {
      this.#server.close(() => resolve());
    });
  }

  async up(): Promise<void> {
    this.#server = createServer();
    await listen(this.#server, this.#port);
    this.#serve();
  }

  #serve(): void {
    this.#server.on("request", (request, response) => {
      const chunks: Buffer[] = [];
      request.on("data", (chunk: Buffer) => chunks.push(chunk));
      request.on("end", () => {
        const headers = Object.fromEntries(
          Object.entries(request.headers).map(([name, value]) => [name, String(value)]),
        );
        this.received.push({
          path: request.url ?? "",
          id: headers["webhook-id"] ?? "",
          contentType: headers["content-type"] ?? "",
          headers,
          body: Buffer.concat(chunks).toString("utf8"),
          isTaken: this.manner === "answer" && this.status >= 200 && this.status < 300,
        });
        const isBad = request.url?.startsWith("/500/") === true;
        this.#answer(response, isBad ? 500 : this.status, Buffer.concat(chunks));
      });
    });
  }

  #answer(response: ServerResponse, status: number, body: Buffer): void {
    if (this.manner === "hang") return;
    if (this.manner === "answer") response.writeHead(status).end(this.echoes ? body : "");
    else response.socket?.end("HTTP/1.1 20");
  }
}

/** Throws when the signature is not the secret's. */
export function checkSignature(one: Received, secret: string): void {
  const sentMs = Number(one.headers["webhook-timestamp"]) * 1000;
  const wanted = new Webhook(secret).sign(one.id, new Date(sentMs), one.body);
  const given = one.headers["webhook-signature"] ?? "";
  if (!given.split(" ").includes(wanted)) throw new Error(`wrong signature: ${given}`);
}

async function listen(server: Server, port: number): Promise<number> {
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, "127.0.0.1", resolve);
  });
  const bound = server.address();
  return typeof bound === "object" && bound !== null ? bound.port : 0;
}
