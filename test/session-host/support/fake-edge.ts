/**
 * The edge as a host sees it, for tests of the host alone: both upgrade routes, the frames of src/bridge, rows in
 * memory, and switches for everything that may go wrong in between. It parses every frame of the host with the
 * real schemas and fails loudly on one that does not fit.
 */
import { EventEmitter } from "node:events";
import { createServer } from "node:http";
import type { IncomingMessage, Server } from "node:http";
import type { AddressInfo } from "node:net";
import type { Duplex } from "node:stream";
import { WebSocketServer } from "ws";
import type { WebSocket } from "ws";
import { hostControlFrame, sealProofText } from "../../../src/bridge/control-frames.ts";
import type { FleetFrame, HostControlFrame } from "../../../src/bridge/control-frames.ts";
import { HEADER_PROTOCOLS, PROTOCOLS_OFFERED } from "../../../src/bridge/versions.ts";
import { PING, PONG } from "../../../src/bridge/wire.ts";
import { createPublicKey, randomBytes, verify } from "node:crypto";
import { FakeDevice } from "./fake-device.ts";
import { textOf, waitUntil } from "./waiting.ts";

const SPKI_PREFIX = Buffer.from("302a300506032b6570032100", "hex");

export class FakeEdge {
  readonly devices = new Map<string, FakeDevice>();
  readonly controlFrames: HostControlFrame[] = [];
  readonly changes = new EventEmitter();
  /** Versions of the bridge named in the answer to an upgrade; null: none, as the first version did. */
  protocols: string | null = PROTOCOLS_OFFERED;
  /** Answered to the next control upgrades instead of opening. */
  refuseControl: number | null = null;
  answerPings = true;
  sealProof: string | null = null;
  controlUpgrades: IncomingMessage["headers"][] = [];
  controlCloses = 0;
  readonly #server: Server;
  readonly #sockets = new WebSocketServer({ noServer: true });
  #control: WebSocket | null = null;
  #reported = false;
  #placementId = 0;

  private constructor(server: Server) {
    this.#server = server;
    server.on("upgrade", (request, socket, head) => this.#upgrade(request, socket, head));
    this.#sockets.on("headers", (headers) => {
      if (this.protocols !== null) headers.push(`${HEADER_PROTOCOLS}: ${this.protocols}`);
    });
  }

  static async start(): Promise<FakeEdge> {
    const server = createServer((_request, response) => response.writeHead(404).end());
    await new Promise<void>((resolve) => {
      server.listen(0, "127.0.0.1", resolve);
    });
    return new FakeEdge(server);
  }

  get url(): URL {
    return new URL(`http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`);
  }

  addDevice(deviceId: string = randomBytes(16).toString("hex")): FakeDevice {
    const device = new FakeDevice(deviceId);
    this.devices.set(deviceId, device);
    return device;
  }

  /** Once the host is accepted: hands it the device under a new placement. */
  async assign(device: FakeDevice): Promise<void> {
    await this.accepted();
    this.#placementId += 1;
    const ticket = device.mintTicket();
    this.#send({ t: "assign", deviceId: device.deviceId, placementId: this.#placementId, ticket });
  }

  order(orders: Omit<Extract<FleetFrame, { t: "logins" }>, "t">): void {
    this.#send({ t: "logins", ...orders });
  }

  withdraw(device: FakeDevice): void {
    this.#send({ t: "withdraw", deviceId: device.deviceId, placementId: this.#placementId });
  }

  async accepted(): Promise<void> {
    await this.until(() => this.#control !== null && this.#reported);
  }

  cutControl(): void {
    this.#control?.terminate();
    this.#control = null;
  }

  async until(condition: () => boolean, withinMs = 10_000): Promise<void> {
    await waitUntil(this.changes, condition, withinMs);
  }

  async close(): Promise<void> {
    for (const client of this.#sockets.clients) client.terminate();
    for (const device of this.devices.values()) device.close();
    this.#server.closeAllConnections();
    await new Promise<void>((resolve) => {
      this.#server.close(() => resolve());
    });
  }

  #upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    const path = new URL(request.url ?? "/", this.url).pathname;
    if (path === "/bridge/control") {
      this.controlUpgrades.push(request.headers);
      if (this.refuseControl !== null) return refuse(socket, this.refuseControl);
      this.#sockets.handleUpgrade(request, socket, head, (ws) => this.#openControl(ws, request));
      return;
    }
    const device = this.devices.get(path.slice("/bridge/devices/".length));
    if (device === undefined) return refuse(socket, 404);
    const status = device.admits(request.headers);
    if (status !== 101) return refuse(socket, status);
    this.#sockets.handleUpgrade(request, socket, head, (ws) => device.open(ws, request.headers));
  }

  #openControl(ws: WebSocket, request: IncomingMessage): void {
    const nonce = randomBytes(24).toString("base64url");
    const boot = String(request.headers["x-kabar-boot"]);
    let protocol = 0;
    ws.on("message", (data) => {
      const text = textOf(data);
      if (text === PING) {
        if (this.answerPings) ws.send(PONG);
        return;
      }
      const frame = hostControlFrame.parse(JSON.parse(text));
      this.controlFrames.push(frame);
      if (frame.t === "hello") {
        protocol = frame.protocol;
        ws.send(JSON.stringify({ t: "challenge", nonce } satisfies FleetFrame));
      }
      if (frame.t === "proof") {
        const proven =
          this.sealProof === null || proves(this.sealProof, frame.signature, boot, nonce);
        if (!proven) return ws.close(4003);
        this.#control = ws;
        this.#reported = false;
        ws.send(JSON.stringify({ t: "accepted", hostId: "host-1", protocol } satisfies FleetFrame));
      }
      if (frame.t === "report" && this.#control === ws) this.#reported = true;
      if (frame.t === "goodbye" && this.#control === ws) this.#control = null;
      this.changes.emit("change");
    });
    ws.on("close", () => {
      this.controlCloses += 1;
      if (this.#control === ws) this.#control = null;
      this.changes.emit("change");
    });
  }

  #send(frame: FleetFrame): void {
    this.#control?.send(JSON.stringify(frame));
  }
}

function proves(publicKey: string, signature: string, boot: string, nonce: string): boolean {
  const key = createPublicKey({
    key: Buffer.concat([SPKI_PREFIX, Buffer.from(publicKey, "base64")]),
    format: "der",
    type: "spki",
  });
  return verify(
    null,
    Buffer.from(sealProofText(boot, nonce)),
    key,
    Buffer.from(signature, "base64"),
  );
}

function refuse(socket: Duplex, status: number): void {
  socket.on("error", () => undefined);
  socket.end(`HTTP/1.1 ${status} Refused\r\nconnection: close\r\ncontent-length: 0\r\n\r\n`);
}
