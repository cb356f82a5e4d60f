/**
 * The edge of a simulation: the product's Device object on a simulated runtime, with sockets that sleep through a
 * restart or are lost in a crash, storage that is durable once synced, and alarms. Beside it a fleet that places the
 * device as it is told, also wrongly.
 */
import { vi } from "vitest";
import { PING, PONG } from "../../../src/bridge/wire.ts";
import { Device } from "../../../src/device/device.ts";
import { createHash, timingSafeEqual } from "node:crypto";
import type { Wire } from "./network.ts";
import { SimFleet } from "./fleet.ts";
import { SimSql } from "./sql-storage.ts";
import { Machine, type World } from "./world.ts";

const OPEN = 1;
const CLOSING = 2;
const CLOSED = 3;

/** The runtime's end of a host's socket. */
class ServerSocket {
  readyState = OPEN;
  wire: Wire | null = null;
  #attachment: string | null = null;

  send(text: string): void {
    if (this.readyState !== OPEN) throw new Error("not open");
    this.wire?.toNear({ text, code: null });
  }

  close(code: number): void {
    if (this.readyState !== OPEN) {
      this.readyState = CLOSED;
      return;
    }
    this.readyState = CLOSING;
    this.wire?.toNear({ text: null, code });
  }

  serializeAttachment(value: unknown): void {
    this.#attachment = JSON.stringify(value);
  }

  deserializeAttachment(): unknown {
    return this.#attachment === null ? null : JSON.parse(this.#attachment);
  }
}

/** What the runtime offers as globals, as far as a device uses it; secrets come from the world's chance. */
export function takeOverRuntime(world: World): void {
  vi.stubGlobal("WebSocketRequestResponsePair", function pair() {});
  vi.stubGlobal(
    "WebSocketPair",
    class {
      readonly 1 = new ServerSocket();
      readonly 0 = { server: this[1] };
    },
  );
  vi.stubGlobal(
    "Response",
    class {
      readonly status: number;
      readonly webSocket: unknown;
      constructor(_body: unknown, init: { status: number; webSocket?: unknown }) {
        this.status = init.status;
        this.webSocket = init.webSocket ?? null;
      }
    },
  );
  vi.stubGlobal("crypto", {
    getRandomValues: (bytes: Uint8Array) => bytes.map(() => Math.floor(world.random() * 256)),
    subtle: {
      digest: async (_name: string, data: Uint8Array) => createHash("sha256").update(data).digest(),
      timingSafeEqual,
    },
  });
}

export class Edge {
  readonly sql = new SimSql();
  readonly fleet: SimFleet;
  readonly identity = { deviceId: "d".repeat(32), accountId: 7, waid: "ABC234" };
  machine: Machine;
  /** Whenever more of the storage is durable. */
  onDurable: () => void = () => undefined;
  readonly #world: World;
  readonly #began: () => number;
  #sockets: ServerSocket[] = [];
  #device: Device;
  #alarmMs: number | null = null;
  #instances = 0;
  #syncs = 0;

  constructor(world: World) {
    this.#world = world;
    this.#began = () => Date.now() - world.nowMs;
    this.fleet = new SimFleet(world, this);
    this.machine = new Machine(world, "device#0");
    this.#device = this.#construct();
  }

  machineOf(path: string): Machine {
    return path === "/bridge/control" ? this.fleet.machine : this.machine;
  }

  /** Asks the object as another object would: the answer waits until what it says is durable. */
  call<T>(ask: (device: Device) => Promise<T>): Promise<T | null> {
    const { machine } = this;
    return new Promise((resolve) => {
      this.#world.schedule(machine, 0.1, () => {
        void this.#answer(machine, ask(this.#device), resolve);
      });
      // Should the object die meanwhile, the caller hears nothing.
      this.#world.schedule(null, 5_000, () => resolve(null));
    });
  }

  /** The object leaves memory: between two events, or with everything that was not synced. */
  restart(how: "evict" | "crash"): void {
    if (how === "evict" && this.#syncs > 0) return;
    if (how === "evict") this.#madeDurable();
    else this.#lose();
    this.machine.isDead = true;
    this.#instances += 1;
    this.#syncs = 0;
    this.machine = new Machine(this.#world, `device#${this.#instances}`);
    this.#world.schedule(this.machine, 0, () => {
      this.#device = this.#construct();
      this.#ringAt(this.#alarmMs);
    });
  }

  async #answer<T>(machine: Machine, asked: Promise<T>, tell: (answer: T) => void): Promise<void> {
    const answer = await asked;
    await this.#sync(machine);
    tell(answer);
  }

  async dialled(wire: Wire, url: string, headers: Record<string, string>): Promise<void> {
    if (new URL(url).pathname === "/bridge/control") {
      this.fleet.dialled(wire, headers);
      return;
    }
    const { machine } = this;
    const request = { url, headers: new Headers({ ...headers, upgrade: "websocket" }) };
    const response = await this.#device.fetch(request as unknown as Request);
    const { webSocket } = response as unknown as { webSocket: { server: ServerSocket } | null };
    if (webSocket !== null) this.#join(webSocket.server, wire);
    if (!machine.isDead)
      wire.toNear({ text: JSON.stringify({ status: response.status }), code: null });
  }

  #join(socket: ServerSocket, wire: Wire): void {
    socket.wire = wire;
    Object.assign(wire, {
      farEar: {
        text: (text: string) => {
          if (socket.readyState === CLOSED) return;
          if (text === PING) wire.toNear({ text: PONG, code: null });
          else void this.#device.webSocketMessage(socket as unknown as WebSocket, text);
        },
        closed: (code: number | null) => {
          if (socket.readyState === CLOSED) return;
          if (socket.readyState === CLOSING || code === null) socket.readyState = CLOSED;
          void this.#device
            .webSocketClose(socket as unknown as WebSocket, code ?? 1006)
            .then(() => this.#forget(socket));
        },
      },
    });
  }

  #forget(socket: ServerSocket): void {
    this.#sockets = this.#sockets.filter((other) => other !== socket);
  }

  #construct(): Device {
    const env = {
      BODY_KEY: "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
      FINGERPRINT_KEY: "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
      OPERATOR_TOKEN_HASH: "0".repeat(64),
      SEAL_PROOFS: "{}",
      PACING: "off",
      DEVICES: { idFromName: () => null },
      FLEET: { idFromName: () => null, get: () => this.fleet.rpc },
      // The books are silent; what that means for money is tested elsewhere.
      DB: {
        prepare: () => ({ bind: () => ({}) }),
        batch: () => Promise.reject(new Error("no D1")),
      },
    };
    const { machine } = this;
    this.#world.current = machine;
    return new Device(
      this.#context(machine) as unknown as DurableObjectState,
      env as unknown as Cloudflare.Env,
    );
  }

  #context(machine: Machine) {
    return {
      id: { equals: () => true },
      storage: {
        sql: this.sql,
        transactionSync: <T>(work: () => T) => this.sql.transactionSync(work),
        sync: () => this.#sync(machine),
        getAlarm: async () => this.#alarmMs,
        setAlarm: async (atMs: number) => {
          if (!machine.isDead) this.#ringAt(atMs);
        },
      },
      acceptWebSocket: (socket: ServerSocket) => this.#sockets.push(socket),
      getWebSockets: () => this.#sockets.filter(({ readyState }) => readyState !== CLOSED),
      setWebSocketAutoResponse: () => undefined,
      waitUntil: () => undefined,
      blockConcurrencyWhile: (work: () => Promise<void>) => work(),
    };
  }

  /** Never settles for an instance that died. */
  #sync(machine: Machine): Promise<void> {
    if (machine === this.machine) this.#syncs += 1;
    const delayMs =
      this.#world.random() < 0.05 ? this.#world.random() * 100 : this.#world.random() * 3;
    return new Promise((resolve) => {
      this.#world.schedule(machine, delayMs, () => {
        this.#syncs -= 1;
        this.#madeDurable();
        resolve();
      });
    });
  }

  #madeDurable(): void {
    this.sql.makeDurable();
    this.onDurable();
  }

  #lose(): void {
    this.sql.loseUnsynced();
    for (const { wire } of this.#sockets) wire?.farDied();
    this.#sockets = [];
  }

  #ringAt(atMs: number | null): void {
    this.#alarmMs = atMs;
    if (atMs === null) return;
    this.#world.schedule(this.machine, atMs - this.#began() - this.#world.nowMs, () => {
      if (this.#alarmMs !== atMs) return;
      this.#alarmMs = null;
      void this.#device.alarm();
    });
  }
}
