/**
 * A session host as the Fleet sees it, made of a real WebSocket and real signatures, and fresh Fleet and Device
 * objects for each test. Runs no phone.
 */
import { env, runDurableObjectAlarm } from "cloudflare:test";
import { vi } from "vitest";
import { fleetFrame, type FleetFrame, sealProofText } from "../../src/bridge/control-frames.ts";
import { PROTOCOL_VERSION } from "../../src/bridge/versions.ts";
import { HEADER_BOOT, HEADER_HOST_TOKEN, PING, PONG } from "../../src/bridge/wire.ts";
import { tokenHashOf } from "../../src/fleet/credentials.ts";
import type { Fleet } from "../../src/fleet/fleet.ts";

export type FleetStub = DurableObjectStub<Fleet>;

const SEAL_KEY = Uint8Array.from({ length: 32 }, (_, index) => index);
const PKCS8_PREFIX = [
  0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20,
];
const FRAME_TIMEOUT_MS = 15_000;

let drawn = 0;

/** A name that no other test of this file uses. */
export function fresh(what: string): string {
  drawn += 1;
  return `${what}-${String(drawn).padStart(6, "0")}`;
}

export function newFleet(): FleetStub {
  return env.FLEET.get(env.FLEET.idFromName(fresh("fleet")));
}

/** A device that exists: its object has an identity and so mints tickets. */
export async function newDevice(): Promise<string> {
  const deviceId = unknownDevice();
  const device = env.DEVICES.get(env.DEVICES.idFromName(deviceId));
  const installed = await device.install({ deviceId, accountId: 1, waid: "ABC234" });
  if (!installed.ok) throw new Error(`device not installed: ${installed.error.reason}`);
  return deviceId;
}

/** A well-formed id behind which there is a blank object. */
export function unknownDevice(): string {
  drawn += 1;
  return drawn.toString(16).padStart(32, "0");
}

export interface Approved {
  hostId: string;
  token: string;
}

export async function approve(fleet: FleetStub, devicesMax = 100): Promise<Approved> {
  const hostId = fresh("host");
  const token = `token-of-${hostId}-0123456789`;
  const tokenHash = await tokenHashOf(token);
  const approved = await fleet.approveHost({ hostId, name: "a host", tokenHash, devicesMax });
  if (!approved.ok) throw new Error(approved.error.reason);
  return { hostId, token };
}

export async function dial(fleet: FleetStub, headers: Record<string, string>): Promise<Response> {
  return fleet.fetch("https://gateway.test/bridge/control", { headers });
}

/** Moves time and lets the Fleet do what is due then. */
export async function passTime(fleet: FleetStub, ms: number): Promise<void> {
  vi.setSystemTime(Date.now() + ms);
  await ring(fleet);
}

export async function ring(fleet: FleetStub): Promise<void> {
  await runDurableObjectAlarm(fleet);
}

export async function hostView(fleet: FleetStub, host: { hostId: string }) {
  const view = (await fleet.hosts()).find(({ hostId }) => hostId === host.hostId);
  if (view === undefined) throw new Error("host is not listed");
  return view;
}

export type LoginOrders = Extract<FleetFrame, { t: "logins" }>;

export class HostSocket {
  readonly hostId: string;
  readonly token: string;
  readonly bootId: string;
  readonly closed: Promise<number>;
  /** Shares of the login budget, which come whenever hosts do. */
  readonly orders: LoginOrders[] = [];
  readonly #socket: WebSocket;
  readonly #frames: FleetFrame[] = [];
  readonly #pongs: (() => void)[] = [];
  #wake: () => void = () => undefined;

  private constructor(approved: Approved, bootId: string, socket: WebSocket) {
    this.hostId = approved.hostId;
    this.token = approved.token;
    this.bootId = bootId;
    this.#socket = socket;
    const { promise, resolve } = Promise.withResolvers<number>();
    this.closed = promise;
    socket.addEventListener("close", ({ code }) => {
      resolve(code);
      this.#wake();
    });
    socket.addEventListener("message", ({ data }) => {
      if (data === PONG) this.#pongs.shift()?.();
      else this.#hear(fleetFrame.parse(JSON.parse(String(data))));
      this.#wake();
    });
    socket.accept();
  }

  static async open(
    fleet: FleetStub,
    approved: Approved,
    bootId: string = fresh("boot"),
  ): Promise<HostSocket> {
    const response = await dial(fleet, {
      upgrade: "websocket",
      [HEADER_HOST_TOKEN]: `Bearer ${approved.token}`,
      [HEADER_BOOT]: bootId,
    });
    if (response.webSocket === null) throw new Error(`no socket: ${response.status}`);
    return new HostSocket(approved, bootId, response.webSocket);
  }

  /** Open, proved, accepted, and with its first report sent. */
  static async accepted(
    fleet: FleetStub,
    approved: Approved,
    options: {
      bootId?: string;
      capacity?: number;
      running?: Running[];
      protocol?: number;
      clientVersion?: string;
    } = {},
  ): Promise<HostSocket> {
    const host = await HostSocket.open(fleet, approved, options.bootId);
    const { capacity = 100, protocol = PROTOCOL_VERSION, clientVersion = "test" } = options;
    host.hello({ capacity, protocol, clientVersion });
    const { nonce } = await host.next("challenge");
    host.send({ t: "proof", signature: await signProof(host.bootId, nonce) });
    await host.next("accepted");
    host.report(options.running ?? []);
    return host;
  }

  hello(
    change: {
      capacity?: number;
      protocol?: number;
      sealKeyId?: string;
      clientVersion?: string;
    } = {},
  ): void {
    this.send({
      t: "hello",
      protocol: PROTOCOL_VERSION,
      capacity: 100,
      sealKeyId: "k1",
      clientVersion: "test",
      ...change,
    });
  }

  report(running: Running[]): void {
    this.send({ t: "report", running: running.map((one) => ({ ...one, epoch: 1 })) });
  }

  send(frame: unknown): void {
    this.#socket.send(JSON.stringify(frame));
  }

  sendText(text: string): void {
    this.#socket.send(text);
  }

  /** Resolves with the runtime's answer to a ping. */
  async ping(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<undefined>();
    this.#pongs.push(() => resolve(undefined));
    this.#socket.send(PING);
    await promise;
  }

  close(): void {
    this.#socket.close(1000, "test");
  }

  #hear(frame: FleetFrame): void {
    if (frame.t === "logins") this.orders.push(frame);
    else this.#frames.push(frame);
  }

  /** The next frame of this kind; frames of other kinds before it are an error. */
  async next<T extends FleetFrame["t"]>(t: T): Promise<Extract<FleetFrame, { t: T }>> {
    const frame = await this.#take(t);
    if (!isOfKind(frame, t)) throw new Error(`expected ${t}, got ${frame.t}`);
    return frame;
  }

  /** Everything that came before the answer to a report of a device that nobody placed. */
  async framesUntilNow(running: Running[] = []): Promise<FleetFrame[]> {
    const probe = { deviceId: unknownDevice(), placementId: 1 };
    this.report([...running, probe]);
    const frames: FleetFrame[] = [];
    for (;;) {
      const frame = await this.#take("withdraw");
      if (frame.t === "withdraw" && frame.deviceId === probe.deviceId) return frames;
      frames.push(frame);
    }
  }

  async #take(what: string): Promise<FleetFrame> {
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      this.#wake();
    }, FRAME_TIMEOUT_MS);
    try {
      for (;;) {
        const frame = this.#frames.shift();
        if (frame !== undefined) return frame;
        if (late) throw new Error(`no ${what} within ${FRAME_TIMEOUT_MS} ms`);
        if (this.#socket.readyState !== WebSocket.OPEN) throw new Error(`closed before ${what}`);
        const { promise, resolve } = Promise.withResolvers<undefined>();
        this.#wake = () => resolve(undefined);
        await promise;
      }
    } finally {
      clearTimeout(timer);
    }
  }
}

export interface Running {
  deviceId: string;
  placementId: number;
}

function isOfKind<T extends FleetFrame["t"]>(
  frame: FleetFrame,
  t: T,
): frame is Extract<FleetFrame, { t: T }> {
  return frame.t === t;
}

/** What a host that holds the seal key answers to the challenge. */
export async function signProof(
  bootId: string,
  nonce: string,
  sealKey: Uint8Array = SEAL_KEY,
): Promise<string> {
  const encoder = new TextEncoder();
  const master = await crypto.subtle.importKey("raw", sealKey, "HKDF", false, ["deriveBits"]);
  const info = encoder.encode("kabar seal proof v1");
  const seed = await crypto.subtle.deriveBits(
    { name: "HKDF", hash: "SHA-256", salt: new Uint8Array(0), info },
    master,
    256,
  );
  const pkcs8 = new Uint8Array([...PKCS8_PREFIX, ...new Uint8Array(seed)]);
  const key = await crypto.subtle.importKey("pkcs8", pkcs8, { name: "Ed25519" }, false, ["sign"]);
  const text = encoder.encode(sealProofText(bootId, nonce));
  const signature = await crypto.subtle.sign({ name: "Ed25519" }, key, text);
  return btoa(String.fromCharCode(...new Uint8Array(signature)));
}
