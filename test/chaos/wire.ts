/**
 * A network between one session host and the Worker: passes bytes on as they come, and may be cut (sockets end, nobody
 * gets through) or fall silent (sockets stay open, nothing passes) until it is mended. Reads nothing.
 */
import { connect, createServer } from "node:net";
import type { AddressInfo, Server, Socket } from "node:net";

export class Wire {
  readonly url: string;
  readonly #server: Server;
  readonly #port: number;
  readonly #sockets = new Set<Socket>();
  #state: "open" | "cut" | "silent" = "open";

  private constructor(server: Server, port: number) {
    this.#server = server;
    this.#port = port;
    this.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    server.on("connection", (down) => this.#join(down));
  }

  /** `url`: of the Worker. */
  static async start(url: string): Promise<Wire> {
    const server = createServer();
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen(0, "127.0.0.1", resolve);
    });
    return new Wire(server, Number(new URL(url).port));
  }

  cut(): void {
    this.#state = "cut";
    for (const socket of this.#sockets) socket.resetAndDestroy();
  }

  silence(): void {
    this.#state = "silent";
    for (const socket of this.#sockets) socket.pause();
  }

  mend(): void {
    this.#state = "open";
    for (const socket of this.#sockets) socket.resume();
  }

  close(): void {
    this.cut();
    this.#server.close();
  }

  #join(down: Socket): void {
    if (this.#state === "cut") {
      down.resetAndDestroy();
      return;
    }
    const up = connect(this.#port, "127.0.0.1");
    this.#pass(down, up);
    this.#pass(up, down);
    if (this.#state === "silent") this.silence();
  }

  #pass(from: Socket, to: Socket): void {
    this.#sockets.add(from);
    from.setNoDelay(true);
    from.on("data", (chunk) => {
      if (!to.write(chunk)) from.pause();
    });
    to.on("drain", () => {
      if (this.#state === "open") from.resume();
    });
    from.on("end", () => to.end());
    from.on("error", () => to.destroy());
    from.on("close", () => {
      this.#sockets.delete(from);
      to.destroy();
    });
  }
}
