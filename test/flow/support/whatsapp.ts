/**
 * The simulated WhatsApp as a witness: screens, events and counters over its own HTTP API, and what people do with
 * their phones. Judges nothing.
 */
import { z } from "zod";

const TIMEOUT_MS = 60_000;

const shownText = z.object({
  id: z.string(),
  text: z.string(),
  direction: z.enum(["in", "out"]),
  atMs: z.number(),
  tick: z.string(),
  copies: z.number(),
  devices: z.record(z.string(), z.object({ text: z.string(), copies: z.number() })),
});
export type ShownText = z.infer<typeof shownText>;

const event = z.looseObject({
  seq: z.number(),
  atMs: z.number(),
  kind: z.string(),
  number: z.string(),
  id: z.string().optional(),
});
export type WhatsappEvent = z.infer<typeof event>;
const events = z.object({ last: z.number(), events: z.array(event) });

const inbound = z.object({
  sent: z.number(),
  receipts: z.array(z.string()),
  acks: z.array(z.string()),
  retries: z.number(),
});
const connection = z.object({
  openedMs: z.number(),
  number: z.string(),
  refusedWith: z.number().nullable(),
  onlineMs: z.number().nullable(),
  endedMs: z.number().nullable(),
});
export type Connection = z.infer<typeof connection>;
const evidence = z.object({
  messagesById: z.record(z.string(), z.number()),
  ciphertexts: z.number(),
  keyReuses: z.number(),
  keyUsedAlready: z.number(),
  decryptFailures: z.number(),
  unexpected: z.array(z.string()),
  wrongSignatures: z.array(z.string()),
  inbound: z.record(z.string(), z.array(inbound)),
  connections: z.array(connection),
});
export type Evidence = z.infer<typeof evidence>;

const phone = z.object({
  linked: z.array(z.object({ device: z.number(), online: z.boolean() })),
});

export class Whatsapp {
  readonly #url: string;

  constructor(url: string) {
    this.#url = url;
  }

  /** The texts that `number` got from `from`, as its screen shows them. */
  async shown(number: string, from: string): Promise<ShownText[]> {
    const texts = await this.#get(`/messages?number=${number}&with=${from}`, z.array(shownText));
    return texts.filter((text) => text.direction === "in");
  }

  /** What the phone shows of its own account's texts to itself. */
  async notes(number: string): Promise<ShownText[]> {
    return this.#get(`/messages?number=${number}&with=${number}`, z.array(shownText));
  }

  /** The number of the newest event. */
  async last(): Promise<number> {
    return (await this.#get("/events/poll?kind=none", events)).last;
  }

  /** All events of a kind so far. */
  async events(kind: string, number?: string): Promise<WhatsappEvent[]> {
    const whose = number === undefined ? "" : `&number=${number}`;
    return (await this.#get(`/events/poll?kind=${kind}${whose}`, events)).events;
  }

  /** The first such event after `after`; waits for it. */
  async event(kind: string, number: string, after = 0): Promise<WhatsappEvent> {
    const query = `kind=${kind}&number=${number}&after=${after}&waitMs=${TIMEOUT_MS - 5_000}`;
    const [first] = (await this.#get(`/events/poll?${query}`, events)).events;
    if (first === undefined) throw new Error(`waited in vain for ${kind}`);
    return first;
  }

  evidence(): Promise<Evidence> {
    return this.#get("/evidence", evidence);
  }

  async linked(number: string): Promise<{ device: number; online: boolean }[]> {
    return (await this.#get(`/phones/${number}`, phone)).linked;
  }

  /** The error word of a refusal, or null when it was done. */
  async scan(number: string, qr: string): Promise<string | null> {
    return this.#refusal(`/phones/${number}/scan`, { qr });
  }

  async typeCode(number: string, code: string): Promise<string | null> {
    return this.#refusal(`/phones/${number}/link-code`, { code });
  }

  /** A person writes to an account; answers the WhatsApp id. */
  async write(from: string, to: string, text: string): Promise<string> {
    const answer = await this.post(`/phones/${from}/send`, { to, text });
    return z.object({ id: z.string() }).parse(answer).id;
  }

  /** Any control call that must succeed. */
  async post(path: string, body: object = {}): Promise<unknown> {
    const response = await this.#call(path, body);
    if (!response.ok) throw new Error(`the simulator answered ${response.status} to ${path}`);
    return response.json();
  }

  async #refusal(path: string, body: object): Promise<string | null> {
    const response = await this.#call(path, body);
    if (response.ok) return null;
    return z.object({ error: z.string() }).parse(await response.json()).error;
  }

  #call(path: string, body: object): Promise<Response> {
    return fetch(`${this.#url}${path}`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
  }

  async #get<T>(path: string, shape: z.ZodType<T>): Promise<T> {
    const response = await fetch(`${this.#url}${path}`, {
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
    return shape.parse(await response.json());
  }
}
