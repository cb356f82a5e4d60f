/**
 * Starts a simulated WhatsApp on one port: the client's WebSocket at /ws/chat, the control API, the page. Used in
 * process by tests and by main.ts.
 */

import { randomBytes } from "node:crypto";
import { createServer, type IncomingMessage, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import type { Duplex } from "node:stream";
import { getRequestListener } from "@hono/node-server";
import { WebSocketServer } from "ws";
import { makeServerIdentity } from "./certificates.ts";
import { Connection, type ConnectionHandler } from "./connection.ts";
import { silenceLibsignal } from "./console-filter.ts";
import { controlApi } from "./control-api.ts";
import { authenticate } from "./login.ts";
import { Network } from "./network.ts";
import { StateFile } from "./state-file.ts";
import { route } from "./stanza-router.ts";

export type SimulatorOptions = {
  /** 0 picks a free port. */
  port?: number;
  host?: string;
  stateFile?: string | undefined;
  now?: () => number;
  randomBytes?: (length: number) => Buffer;
};

export type Simulator = {
  /** Control API and page. */
  url: string;
  /** For the client's `waWebSocketUrl`. */
  wsUrl: string;
  network: Network;
  close: () => Promise<void>;
};

export async function startSimulator(options: SimulatorOptions = {}): Promise<Simulator> {
  const now = options.now ?? Date.now;
  const host = options.host ?? "127.0.0.1";
  const stopSilence = silenceLibsignal();
  const network = new Network({
    now,
    randomBytes: options.randomBytes ?? randomBytes,
    identity: makeServerIdentity(now()),
  });
  const state =
    options.stateFile === undefined ? undefined : new StateFile(options.stateFile, network);
  state?.load();
  if (state !== undefined) network.onChange = () => state.schedule();
  const answer = getRequestListener(controlApi(network).fetch);
  const server = createServer((request, response) => void answer(request, response));
  acceptClients(server, network);
  await listen(server, options.port ?? 0, host);
  const { port } = server.address() as AddressInfo;
  const authority = `${host.includes(":") ? `[${host}]` : host}:${port}`;
  return {
    url: `http://${authority}`,
    wsUrl: `ws://${authority}/ws/chat`,
    network,
    close: async () => {
      network.close();
      state?.write();
      network.onChange = () => {};
      server.closeAllConnections();
      await new Promise<void>((resolve) => server.close(() => resolve()));
      stopSilence();
    },
  };
}

function acceptClients(server: Server, network: Network): void {
  const sockets = new WebSocketServer({ noServer: true, perMessageDeflate: false });
  const handler: ConnectionHandler = {
    authenticated: (connection, payload, clientStatic) =>
      authenticate(network, connection, payload, clientStatic),
    stanza: (connection, stanza) => route(network, connection, stanza),
  };
  server.on("upgrade", (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    // A socket that dies during the upgrade has nobody to tell.
    socket.on("error", () => {});
    const path = new URL(request.url ?? "/", "http://simulator").pathname;
    if (path !== "/ws/chat") return refuseUpgrade(socket, 404);
    const status = network.faults.takeRefusedUpgrade();
    if (status !== undefined) {
      const record = network.evidence.connections.open(network.now());
      record.refusedWith = status;
      record.endedMs = record.openedMs;
      network.events.emit("fault", "", { fault: "upgrade_refused", status });
      return refuseUpgrade(socket, status);
    }
    sockets.handleUpgrade(
      request,
      socket,
      head,
      (client) => new Connection(network, client, handler),
    );
  });
}

function refuseUpgrade(socket: Duplex, status: number): void {
  socket.end(`HTTP/1.1 ${status} Refused\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
}

async function listen(server: Server, port: number, host: string): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, host, () => {
      server.off("error", reject);
      resolve();
    });
  });
}
