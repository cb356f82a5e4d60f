/**
 * A customer's server on loopback, beside the bench: counts what is posted to each path and when it came. A path under
 * `/hang` is never answered.
 */
import { createServer } from "node:http";
import type { Server } from "node:http";

export interface Posted {
  id: string;
  type: string;
  /** What it is about, such as a message. */
  about: string;
  /** What the body says of when it happened. */
  saidMs: number;
  cameMs: number;
}

interface Body {
  type: string;
  timestamp: string;
  data: Record<string, unknown>;
}

export class CustomerServer {
  readonly #server: Server;
  readonly #port: number;
  readonly #posted = new Map<string, Posted[]>();

  private constructor(server: Server, port: number) {
    this.#server = server;
    this.#port = port;
    server.on("request", (request, response) => {
      const cameMs = Date.now();
      const chunks: Buffer[] = [];
      request.on("data", (chunk: Buffer) => chunks.push(chunk));
      request.on("end", () => {
        const path = request.url ?? "";
        const { type, timestamp, data } = JSON.parse(
          Buffer.concat(chunks).toString("utf8"),
        ) as Body;
        const id = String(request.headers["webhook-id"]);
        const about = String(data["id"]);
        this.at(path).push({ id, type, about, saidMs: Date.parse(timestamp), cameMs });
        if (!path.startsWith("/hang")) response.writeHead(200).end();
      });
    });
  }

  static async start(): Promise<CustomerServer> {
    const server = createServer();
    await new Promise<void>((resolve) => {
      server.listen(0, "127.0.0.1", resolve);
    });
    const bound = server.address();
    return new CustomerServer(server, typeof bound === "object" && bound !== null ? bound.port : 0);
  }

  url(path: string): string {
    return `http://127.0.0.1:${this.#port}${path}`;
  }

  at(path: string): Posted[] {
    const posted = this.#posted.get(path) ?? [];
    this.#posted.set(path, posted);
    return posted;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise<void>((resolve) => {
      this.#server.close(() => resolve());
    });
  }
}
