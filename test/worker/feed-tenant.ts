/**
 * A tenant with a phone, two webhooks and its own record of what happened, for the model of the whole way to the
 * customer's server. Knows what every text and every answer of WhatsApp should make of the record; expects nothing.
 */
import { evictDurableObject, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import type { Device } from "../../src/device/device.ts";
import { configure, inboundText } from "./device-events-support.ts";
import type { ScriptedHost, SendCommand } from "./device-host.ts";
import {
  connect,
  enqueue,
  messageTo,
  newDevice,
  pairedHost,
  passTime as passDeviceTime,
  type TestDevice,
  unwrap,
} from "./device-support.ts";
import {
  crash,
  type Delivery,
  HOST,
  newEndpoint,
  passTime as passEndpointTime,
  settingsOf,
  type TestEndpoint,
  viewOf,
} from "./endpoint-support.ts";

const HOUR_MS = 3_600_000;
/** Longer than the longest pause of the hand-over. */
const HAND_OVER_MS = 301_000;

export type Proof = "ack" | "delivered" | "read" | "error";
type Status = "pending" | "sent" | "received" | "read" | "reject";

/** What the customer must hear of: a text, or a message's status. */
export interface Item {
  /** Items of one key come in order. */
  key: string;
  name: string;
}

export interface Hook {
  endpoint: TestEndpoint;
  url: string;
  onlyTexts: boolean;
}

interface Sent {
  command: SendCommand;
  /** WhatsApp's acknowledgement is believed from nobody else. */
  by: ScriptedHost;
  status: Status;
}

const RISES: Record<Proof, Partial<Record<Status, Status>>> = {
  ack: { pending: "sent" },
  delivered: { pending: "received", sent: "received" },
  read: { pending: "read", sent: "read", received: "read" },
  error: { pending: "reject", sent: "reject" },
};

export class Tenant {
  readonly name: string;
  readonly hooks: Hook[];
  readonly items: Item[] = [];
  readonly #device: TestDevice;
  #host: ScriptedHost;
  readonly #sent: Sent[] = [];
  #texts = 0;

  private constructor(name: string, device: TestDevice, host: ScriptedHost, hooks: Hook[]) {
    this.name = name;
    this.#device = device;
    this.#host = host;
    this.hooks = hooks;
  }

  static async make(name: string): Promise<Tenant> {
    const device = await newDevice();
    const host = await pairedHost(device);
    const hooks: Hook[] = [];
    for (const onlyTexts of [false, true]) {
      const url = `https://${HOST}/${name}/${onlyTexts ? "texts" : "all"}`;
      hooks.push({ endpoint: await newEndpoint({ url }), url, onlyTexts });
    }
    const [all, texts] = hooks.map(({ endpoint }) => endpoint);
    if (all === undefined || texts === undefined) throw new Error("two hooks were made");
    await configure(device, [all, { endpoint: texts, types: ["message.inbound"] }]);
    return new Tenant(name, device, host, hooks);
  }

  async text(from: number, count: number): Promise<void> {
    const texts = Array.from({ length: count }, () => {
      this.#texts += 1;
      return `${this.name} text ${this.#texts}`;
    });
    const chat = `62812000000${10 + from}@s.whatsapp.net`;
    await this.#host.commit({ inbound: texts.map((text) => inboundText({ chat, text })) });
    this.items.push(...texts.map((text) => ({ key: chat, name: text })));
  }

  async send(): Promise<void> {
    await enqueue(this.#device, messageTo(`6281234${String(10_000 + this.#sent.length)}`));
    const command = await this.#host.command("send");
    await this.#host.commitFor(command);
    this.#sent.push({ command, by: this.#host, status: "pending" });
  }

  /** Of the newest message. */
  async prove(proof: Proof): Promise<void> {
    const sent = this.#sent.at(-1);
    if (sent !== undefined) await this.#prove(sent, proof);
  }

  async #prove(sent: Sent, proof: Proof): Promise<void> {
    const { command, by } = sent;
    const isAnswer = proof === "ack" || proof === "error";
    if (proof === "ack") await this.#host.ack(command);
    else if (proof === "error") await this.#host.ack(command, 479);
    else await this.#host.receipt(command, proof);
    const status = RISES[proof][sent.status];
    if (status === undefined || (isAnswer && by !== this.#host)) return;
    sent.status = status;
    const id = String(command.messageId);
    this.items.push({ key: id, name: `${id} ${status}` });
  }

  /** Time is everybody's: before any tenant passes it, all answer. What time alone makes of a text is tested elsewhere. */
  async answerAll(): Promise<void> {
    for (const sent of this.#sent) {
      if (sent.status !== "pending") continue;
      await this.#prove(sent, sent.by === this.#host ? "ack" : "delivered");
    }
  }

  async passTime(ms: number): Promise<void> {
    await passDeviceTime(this.#device, ms);
    for (const { endpoint } of this.hooks) await passEndpointTime(endpoint, 0);
  }

  /** In the middle of whatever it does, or between two events. */
  async restart(what: "device" | "endpoint", how: "evict" | "crash"): Promise<void> {
    if (what === "endpoint") {
      for (const { endpoint } of this.hooks) {
        if (how === "crash") await crash(endpoint);
        await viewOf(endpoint);
        if (how === "evict") await evictDurableObject(endpoint.stub);
      }
      return;
    }
    if (how === "evict") await evictDurableObject(this.#device.stub, { webSockets: "close" });
    else await this.#crashDevice();
    this.#host = await connect(this.#device);
    await this.#host.open();
    await this.#host.fact({ kind: "drained" });
  }

  /** Everything that may still come comes. */
  async settle(isDone: () => boolean): Promise<void> {
    for (const { endpoint, url } of this.hooks) {
      await unwrap(endpoint.stub.configure(endpoint.who, settingsOf({ url })));
    }
    for (let turn = 0; turn < 12; turn += 1) {
      await this.passTime(HAND_OVER_MS);
      for (const { endpoint } of this.hooks) await passEndpointTime(endpoint, 25 * HOUR_MS);
      const waiting = await Promise.all(this.hooks.map(async ({ endpoint }) => viewOf(endpoint)));
      if (isDone() && waiting.every((view) => view.waiting === 0)) return;
    }
  }

  async #crashDevice(): Promise<void> {
    await runInDurableObject(this.#device.stub, (_: Device, state) => {
      state.abort("crash");
    }).catch(() => undefined);
    const { deviceId } = this.#device.identity;
    this.#device.stub = env.DEVICES.get(env.DEVICES.idFromName(deviceId));
  }
}

/** The item that a delivery told; null for news of the phone. */
export function itemOf({ body }: Delivery): string | null {
  const { type, data } = JSON.parse(body) as {
    type: string;
    data: { text: string; id: string; status: string };
  };
  if (type === "message.inbound") return data.text;
  return type.startsWith("message.") ? `${data.id} ${data.status}` : null;
}
