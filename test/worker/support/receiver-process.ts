/**
 * A real HTTP server on loopback, in the process that runs the tests: what a customer's server is to an endpoint. The
 * path says how it behaves; `/log/<name>` answers what came to the paths of that name. Keeps everything in memory.
 */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { TestProject } from "vitest/node";

export interface ReceivedPost {
  path: string;
  headers: Record<string, string>;
  body: string;
}

declare module "vitest" {
  interface ProvidedContext {
    receiverUrl: string;
  }
}

const TEN_MB = 10 * 1_048_576;

const received = new Map<string, ReceivedPost[]>();

/** Paths are `/<behaviour>/<name>`. */
async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const path = request.url ?? "/";
  const [, behaviour = "", name = ""] = path.split("/");
  if (behaviour === "log") {
    response.end(JSON.stringify(received.get(name) ?? []));
    return;
  }
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  const headers = request.headers as Record<string, string>;
  const body = Buffer.concat(chunks).toString();
  received.set(name, [...(received.get(name) ?? []), { path, headers, body }]);
  behave(behaviour, request, response);
}

function behave(behaviour: string, request: IncomingMessage, response: ServerResponse): void {
  switch (behaviour) {
    case "cut":
      request.socket.destroy();
      return;
    case "half":
      response.writeHead(200, { "content-length": "1000" });
      response.write("half", () => request.socket.destroy());
      return;
    case "moved":
      response.writeHead(302, { location: "/ok/followed" }).end();
      return;
    case "large":
      response.writeHead(200).end(Buffer.alloc(TEN_MB, "x"));
      return;
    default:
      response.writeHead(200).end("ok");
  }
}

export async function setup(project: TestProject): Promise<() => Promise<void>> {
  const server = createServer((request, response) => {
    answer(request, response).catch(() => request.socket.destroy());
  });
  await new Promise<void>((resolve) => {
    server.listen(0, "127.0.0.1", resolve);
  });
  const { port } = server.address() as AddressInfo;
  project.provide("receiverUrl", `http://127.0.0.1:${port}`);
  return async () => {
    server.closeAllConnections();
    await new Promise((resolve) => {
      server.close(resolve);
    });
  };
}
