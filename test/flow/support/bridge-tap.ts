/**
 * A wire between session hosts and the Worker that a test can look at and cut: it passes both upgrades and every
 * frame on, in order, unless the test says otherwise. A host uses it when started with `GATEWAY_URL: tap.url`.
 */
import { createServer } from "node:http";
import type { IncomingMessage, Server } from "node:http";
import type { AddressInfo } from "node:net";
import type { Duplex } from "node:stream";
import { WebSocket, WebSocketServer } from "ws";
import type { DeviceFrame, HostFrame } from "../../../src/bridge/device-frames.ts";
import { HEADER_PROTOCOLS } from "../../../src/bridge/versions.ts";

export type Verdict = "pass" | "drop";

/** Asked about each frame of a device's socket; later frames of that direction wait for the answer. */
export interface Listener {
  fromHost?(frame: HostFrame, deviceId: string): Verdict | Promise<Verdict>;
  fromDevice?(frame: DeviceFrame, deviceId: string): Verdict | Promise<Verdict>;
  /** Frames of a host's control socket are only shown. */
  control?(from: "host-control" | "fleet", frame: object): void;
}

export interface TapOptions {
  /** False keeps back which versions the edge speaks, as an edge of the first version would. */
  namesVersions?: boolean;
}

const DEVICE_PATH = "/bridge/devices/";

export class BridgeTap {
  readonly url: string;
  /** Every upgrade that came by, oldest first; their headers are secrets. */
  readonly upgrades: { path: string; headers: Record<string, string> }[] = [];
  readonly #target: string;
  readonly #server: Server;
  readonly #upgrades = new WebSocketServer({ noServer: true });
  readonly #wires = new Set<WebSocket>();
  #listener: Listener = {};
  #isCut = false;
  readonly #versions = new WeakMap<IncomingMessage, string>();

  private constructor(server: Server, target: string, { namesVersions = true }: TapOptions) {
    this.#server = server;
    this.#target = target;
    this.#upgrades.on("headers", (headers, request) => {
      const offered = this.#versions.get(request);
      if (namesVersions && offered !== undefined) headers.push(`${HEADER_PROTOCOLS}: ${offered}`);
    });
    this.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    server.on("upgrade", (request, socket, head) => this.#dial(request, socket, head));
  }

  static async start(target: string, options: TapOptions = {}): Promise<BridgeTap> {
    const server = createServer((_request, response) => response.writeHead(404).end());
    await new Promise<void>((resolve) => {
      server.listen(0, "127.0.0.1", resolve);
    });
    return new BridgeTap(server, target, options);
  }

  listen(listener: Listener): void {
    this.#listener = listener;
  }

  /** Ends all wires; nobody gets through until it is mended. */
  cut(): void {
    this.#isCut = true;
    for (const wire of this.#wires) wire.terminate();
  }

  mend(): void {
    this.#isCut = false;
  }

  close(): void {
    this.cut();
    this.#server.close();
  }

  #dial(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    socket.on("error", () => socket.destroy());
    if (this.#isCut) {
      socket.destroy();
      return;
    }
    const headers = Object.fromEntries(
      Object.entries(request.headers).filter(
        ([name]) => name === "authorization" || name.startsWith("x-kabar-"),
      ),
    );
    const path = request.url ?? "/";
    this.upgrades.push({ path, headers: headers as Record<string, string> });
    const up = new WebSocket(`${this.#target.replace("http", "ws")}${path}`, { headers });
    this.#keep(up);
    up.on("error", () => socket.destroy());
    up.on("upgrade", (response) => {
      const offered = response.headers[HEADER_PROTOCOLS];
      if (typeof offered === "string") this.#versions.set(request, offered);
    });
    up.on("unexpected-response", (_request, response) => {
      socket.end(`HTTP/1.1 ${response.statusCode ?? 502} No\r\nConnection: close\r\n\r\n`);
      up.terminate();
    });
    up.once("open", () => {
      this.#upgrades.handleUpgrade(request, socket, head, (down) => {
        this.#keep(down);
        this.#join(path, down, up);
      });
    });
  }

  #join(path: string, down: WebSocket, up: WebSocket): void {
    const listener = (): Listener => this.#listener;
    if (!path.startsWith(DEVICE_PATH)) {
      relay(down, up, (frame) => show(listener(), "host-control", frame));
      relay(up, down, (frame) => show(listener(), "fleet", frame));
      return;
    }
    const deviceId = path.slice(DEVICE_PATH.length);
    relay(down, up, (frame) => listener().fromHost?.(frame as HostFrame, deviceId) ?? "pass");
    relay(up, down, (frame) => listener().fromDevice?.(frame as DeviceFrame, deviceId) ?? "pass");
  }

  #keep(wire: WebSocket): void {
    this.#wires.add(wire);
    wire.on("error", () => wire.terminate());
    wire.once("close", () => this.#wires.delete(wire));
  }
}

function show(listener: Listener, from: "host-control" | "fleet", frame: unknown): Verdict {
  listener.control?.(from, frame as object);
  return "pass";
}

function relay(
  from: WebSocket,
  to: WebSocket,
  judge: (frame: unknown) => Verdict | Promise<Verdict>,
): void {
  let tail: Promise<void> = Promise.resolve();
  const inOrder = (step: () => void | Promise<void>): void => {
    const before = tail;
    tail = (async () => {
      await before;
      await step();
    })();
  };
  const pass = async (text: string): Promise<void> => {
    const verdict = text.startsWith("{") ? await judge(JSON.parse(text)) : "pass";
    if (verdict === "pass" && to.readyState === WebSocket.OPEN) to.send(text);
  };
  from.on("message", (data: Buffer) => inOrder(() => pass(data.toString("utf8"))));
  from.once("close", (code) => {
    inOrder(() => (isSayable(code) ? to.close(code) : to.terminate()));
  });
}

/** Codes that may not be sent are those of closes nobody said. */
function isSayable(code: number): boolean {
  return code === 1000 || (code >= 3000 && code < 5000);
}
