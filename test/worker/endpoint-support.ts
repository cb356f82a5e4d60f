/**
 * Fresh Endpoint objects, senders that number their events, and a receiver at the far edge: a double of `fetch` that
 * keeps what it was sent and answers as told. What the endpoint tests share.
 */
import { env, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { vi } from "vitest";
import type { Endpoint } from "../../src/endpoint/endpoint.ts";
import type {
  AttemptView,
  DeadLetterView,
  EndpointIdentity,
  EndpointSettings,
  EventSource,
} from "../../src/endpoint/interface.ts";
import { Intake, type QueueBound } from "../../src/endpoint/intake.ts";
import { Notices } from "../../src/endpoint/notices.ts";
import { Queue } from "../../src/endpoint/queue.ts";
import { EndpointRecord } from "../../src/endpoint/record.ts";
import { TextSeal } from "../../src/endpoint/text-seal.ts";
import type { EventOf, WebhookEvent } from "../../src/domain/event.ts";
import { chatOrderKey, messageOrderKey } from "../../src/domain/event.ts";
import { randomHex, systemRandomBytes } from "../../src/domain/id.ts";

export const ACCOUNT_ID = 7;
export const WAID = "ABC234";
export const HOST = "hooks.shop.co.id";
export const DAY_MS = 24 * 3_600_000;
/** Ahead of the machine's clock, so that no alarm rings before the test makes it ring. */
export const START = "2031-03-03T03:14:15Z";

export interface TestEndpoint {
  who: EndpointIdentity;
  stub: DurableObjectStub<Endpoint>;
  secret: string;
}

export function settingsOf(change: Partial<EndpointSettings> = {}): EndpointSettings {
  return {
    url: `https://${HOST}/in`,
    body: { format: "json", types: null },
    devices: null,
    allowHttp: false,
    enabled: true,
    retentionMs: 30 * DAY_MS,
    ...change,
  };
}

export function blankEndpoint(): Omit<TestEndpoint, "secret"> {
  const endpointId = randomHex(systemRandomBytes, 16);
  return {
    who: { endpointId, accountId: ACCOUNT_ID },
    stub: env.ENDPOINTS.get(env.ENDPOINTS.idFromName(endpointId)),
  };
}

export async function newEndpoint(change: Partial<EndpointSettings> = {}): Promise<TestEndpoint> {
  const endpoint = blankEndpoint();
  const { secret } = await unwrap(endpoint.stub.install(endpoint.who, settingsOf(change)));
  if (secret === null) throw new Error("a new endpoint shows its secret");
  return { ...endpoint, secret };
}

/** The value of a result that must be good. */
export async function unwrap<T>(
  answer: Promise<{ ok: true; value: T } | { ok: false; error: { reason: string } }>,
): Promise<T> {
  const result = await answer;
  if (!result.ok) throw new Error(`refused: ${result.error.reason}`);
  return result.value;
}

/** Does what is due, and waits until no attempt is under way. */
export async function ring({ stub }: Pick<TestEndpoint, "stub">): Promise<void> {
  await runDurableObjectAlarm(stub);
}

/** Ends the object in the middle of whatever it does, as a crash or a deploy would. */
export async function crash(endpoint: TestEndpoint): Promise<void> {
  await runInDurableObject(endpoint.stub, (_, state) => {
    state.abort("crash");
  }).catch(() => undefined);
  endpoint.stub = env.ENDPOINTS.get(env.ENDPOINTS.idFromName(endpoint.who.endpointId));
}

/** Takes events over as the object does, with another bound. The object itself must be restarted to see them. */
export async function fillWithBound(
  { stub }: TestEndpoint,
  highest: number,
  events: readonly WebhookEvent[],
  bound: QueueBound,
): Promise<void> {
  await runInDurableObject(stub, async (_, { storage }) => {
    const { sql } = storage;
    const record = new EndpointRecord(sql);
    const queue = new Queue(sql, record);
    const notices = new Notices(sql, record, async () => undefined, systemRandomBytes);
    const seal = new TextSeal([env.BODY_KEY], record.state.endpointId, systemRandomBytes);
    const intake = new Intake({ sql, record, queue, notices, seal, bound });
    const source = { kind: "account" } as const;
    const batch = events.map((event, index) => ({ sequence: highest + index + 1, event }));
    const read = await intake.read({ source, events: batch });
    if (!read.ok) throw new Error(read.error.reason);
    storage.transactionSync(() => {
      const taken = intake.take(read.value, Date.now());
      if (!taken.ok) throw new Error(taken.error.reason);
      record.save();
    });
  });
}

/** Moves time and lets the endpoint do what is due then. */
export async function passTime(endpoint: Pick<TestEndpoint, "stub">, ms: number): Promise<void> {
  vi.setSystemTime(Date.now() + ms);
  await ring(endpoint);
}

export async function viewOf({ stub, who }: TestEndpoint) {
  return unwrap(stub.view(who));
}

export async function attemptsOf({ stub, who }: TestEndpoint): Promise<AttemptView[]> {
  return (await unwrap(stub.attempts(who, null))).items.toReversed();
}

export async function deadOf({ stub, who }: TestEndpoint): Promise<DeadLetterView[]> {
  return (await unwrap(stub.deadLetters(who, null))).items.toReversed();
}

/** A source of events as a device is one. */
export class Sender {
  readonly source: EventSource;
  readonly #endpoint: Omit<TestEndpoint, "secret">;
  #sequence = 0;

  constructor(
    endpoint: Omit<TestEndpoint, "secret">,
    source: EventSource = { kind: "device", deviceId: "d".repeat(32) },
  ) {
    this.#endpoint = endpoint;
    this.source = source;
  }

  /** Delivers events under the next numbers. */
  async send(...events: WebhookEvent[]): Promise<number> {
    const { stub, who } = this.#endpoint;
    const batch = events.map((event, index) => ({ sequence: this.#sequence + index + 1, event }));
    const { highest } = await unwrap(stub.deliver(who, { source: this.source, events: batch }));
    this.#sequence = highest;
    return highest;
  }
}

type Status = "pending" | "sent" | "received" | "read" | "cancel" | "reject";

export function statusEvent(messageId: number, status: Status): WebhookEvent {
  return {
    id: `evt_${messageId}_${status}`,
    type: `message.${status}`,
    atMs: Date.now(),
    orderKey: messageOrderKey(WAID, messageId),
    data: {
      id: String(messageId),
      device: WAID,
      to: "6281234567890",
      status,
      reason: status === "pending" ? "queued" : null,
      expected_at: status === "pending" ? "2026-11-22T10:00:00.000Z" : null,
    },
  };
}

export function inboundEvent(
  n: number,
  change: Partial<EventOf<"message.inbound">["data"]> = {},
): EventOf<"message.inbound"> {
  const data = {
    id: `in${n}`,
    device: WAID,
    from: "6281234567890",
    lid: null,
    name: "Budi",
    kind: "text",
    text: `Halo & selamat pagi, nomor ${n} ☕`,
    sent_at: "2026-11-22T10:00:00.000Z",
    ...change,
  };
  return {
    id: `evt_in_${n}`,
    type: "message.inbound",
    atMs: Date.now(),
    orderKey: chatOrderKey(WAID, data.from ?? data.lid ?? "?"),
    data,
  };
}

export interface Delivery {
  url: string;
  id: string;
  headers: Headers;
  body: string;
  /** Parsed, when it is JSON. */
  type: string | null;
  redirect: string | undefined;
  /** Whether it was answered with 2xx. */
  succeeded: boolean;
}

type Answer = (delivery: Delivery, signal: AbortSignal) => Response | Promise<Response>;

/** The customer's server, as far as `fetch` to it goes. Put one up at the start of a test. */
export class Receiver {
  readonly deliveries: Delivery[] = [];
  answer: Answer = () => new Response("ok");
  /** The most that were ever open at once. */
  openMax = 0;
  #open = 0;

  constructor() {
    vi.spyOn(globalThis, "fetch").mockImplementation(async (input, init) => {
      const { url } = new Request(input);
      if (!url.includes(HOST)) throw new Error(`unexpected call to ${new URL(url).host}`);
      return this.#take(url, init ?? {});
    });
  }

  get ids(): string[] {
    return this.deliveries.map(({ id }) => id);
  }

  async #take(url: string, init: RequestInit): Promise<Response> {
    const headers = new Headers(init.headers as HeadersInit);
    const body = typeof init.body === "string" ? init.body : "";
    const isJson = headers.get("content-type") === "application/json";
    const delivery: Delivery = {
      url,
      id: headers.get("webhook-id") ?? "",
      headers,
      body,
      type: isJson ? (JSON.parse(body) as { type: string }).type : null,
      redirect: init.redirect,
      succeeded: false,
    };
    this.deliveries.push(delivery);
    this.#open += 1;
    this.openMax = Math.max(this.openMax, this.#open);
    try {
      const answer = await this.answer(delivery, init.signal ?? new AbortController().signal);
      delivery.succeeded = answer.ok;
      return answer;
    } finally {
      this.#open -= 1;
    }
  }
}

/** A receiver that says nothing until the caller hangs up. */
export const hangs: Answer = async (_delivery, signal) =>
  new Promise((_resolve, reject) => {
    signal.addEventListener("abort", () => reject(new DOMException("aborted", "AbortError")));
  });
