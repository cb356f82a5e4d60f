/**
 * Stands in front of the Worker when it is bound to more than loopback, as the platform does: sets the address of
 * each caller, drops what a caller claims about it, and passes requests, answers and WebSockets on unchanged.
 */
import { createServer, request as sendRequest } from "node:http";
import type { IncomingHttpHeaders, IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import { CLIENT_ADDRESS_HEADER, FRONT_SECRET_HEADER } from "./edge-bindings.ts";

const REQUEST_TIMEOUT_MS = 60_000;

export interface FrontOptions {
  host: string;
  port: number;
  /** The Worker's own socket. */
  target: URL;
  /** Tells the Worker that a request came this way. */
  secret: string;
}

export async function startFront(options: FrontOptions): Promise<void> {
  const server = createServer((incoming, answer) => {
    const onward = forward(options, incoming);
    onward.on("response", (response) => {
      answer.writeHead(response.statusCode ?? 502, response.headers);
      response.pipe(answer);
    });
    onward.on("error", () => {
      if (!answer.headersSent) answer.writeHead(502);
      answer.end();
    });
    answer.on("close", () => onward.destroy());
    incoming.pipe(onward);
  });
  server.on("upgrade", (incoming: IncomingMessage, socket: Duplex, head: Buffer) => {
    passUpgrade(options, incoming, socket, head);
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(options.port, options.host, resolve);
  });
}

function forward(options: FrontOptions, incoming: IncomingMessage) {
  return sendRequest(options.target, {
    method: incoming.method,
    path: incoming.url,
    headers: headersOf(options, incoming),
    timeout: REQUEST_TIMEOUT_MS,
  });
}

function headersOf(options: FrontOptions, incoming: IncomingMessage): IncomingHttpHeaders {
  const address = (incoming.socket.remoteAddress ?? "").replace(/^::ffff:/, "");
  const own = Object.entries(incoming.headers).filter(([name]) => !name.startsWith("mf-"));
  return {
    ...Object.fromEntries(own),
    [CLIENT_ADDRESS_HEADER]: address,
    [FRONT_SECRET_HEADER]: options.secret,
  };
}

function passUpgrade(
  options: FrontOptions,
  incoming: IncomingMessage,
  socket: Duplex,
  head: Buffer,
): void {
  const onward = forward(options, incoming);
  const close = (): void => {
    socket.destroy();
  };
  onward.on("error", close);
  onward.on("response", (response) => {
    socket.end(
      `HTTP/1.1 ${response.statusCode ?? 502} ${response.statusMessage ?? ""}\r\nconnection: close\r\n\r\n`,
    );
    response.resume();
  });
  onward.on("upgrade", (response, peer, peerHead) => {
    const lines = response.rawHeaders.flatMap((name, index, all) =>
      index % 2 === 0 ? [`${name}: ${all[index + 1] ?? ""}`] : [],
    );
    socket.write(`HTTP/1.1 101 Switching Protocols\r\n${lines.join("\r\n")}\r\n\r\n`);
    socket.write(peerHead);
    peer.write(head);
    peer.on("error", close).pipe(socket);
    socket.on("error", () => peer.destroy()).pipe(peer);
  });
  onward.end();
}
