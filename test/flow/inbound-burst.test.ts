/**
 * A burst of texts from one contact while the host is killed in the middle of it, again and again: each text arrives at the
 * customer's server, under an event id of its own, in the order in which it was written. CI runs one short round; the
 * promise in full is
 *
 *   KABAR_BURST=500 KABAR_BURST_ROUNDS=10 npx vitest run --project flow test/flow/inbound-burst.test.ts
 */
import { afterAll, beforeAll, expect, test } from "vitest";
import { z } from "zod";
import { useFlow } from "./support/flow.ts";
import { Receiver } from "./support/receiver.ts";
import type { StackProcess } from "./support/stack-process.ts";

const PHONE = "6281234532001";
const TEXTS = Number(process.env["KABAR_BURST"] ?? "100");
const ROUNDS = Number(process.env["KABAR_BURST_ROUNDS"] ?? "1");
/** Writing, dying, taking over and delivering: far below a second a text. */
const TIMEOUT_MS = 60_000 + TEXTS * 300;

const flow = useFlow({ hosts: 1 });
let receiver: Receiver;
let host: StackProcess | undefined;

beforeAll(async () => {
  receiver = await Receiver.start();
  const { apiKey } = await flow.customer(PHONE);
  const body = { url: receiver.url("/json"), format: "json", allow_http: true };
  const call = { method: "POST" as const, path: "/v1/endpoints", token: apiKey, body };
  const made = await flow.stack.call(call, z.object({ secret: z.string() }));
  if (!made.ok) throw new Error(`no endpoint: ${made.error.reason}`);
  flow.keepSecret(made.value.secret);
  [host] = flow.stack.hosts;
});

afterAll(() => receiver.down());

interface Told {
  id: string;
  text: string;
}

/** What was told of a contact, each event once, in the order of its first arrival. */
function toldOf(contact: string): Told[] {
  const told = new Map<string, Told>();
  for (const { id, body } of receiver.at("/json")) {
    const { data } = JSON.parse(body) as { data: Record<string, unknown> };
    if (data["from"] === contact && !told.has(id)) told.set(id, { id, text: String(data["text"]) });
  }
  return [...told.values()];
}

test.each(Array.from({ length: ROUNDS }, (_, at) => at + 1))(
  `of ${TEXTS} texts that come in while the host is killed each arrives once, round %i`,
  async (round) => {
    const contact = `62813100070${String(round).padStart(2, "0")}`;
    flow.keepSecret(contact.slice(2));
    const texts = Array.from({ length: TEXTS }, (_, at) => `Putaran ${round}, pesan nomor ${at}`);
    const burst = (async () => {
      for (const text of texts) await flow.whatsapp.write(contact, PHONE, text);
    })();
    // Early in the first round, late in the last one.
    const share = round / (ROUNDS + 1);
    await flow.until(
      "the burst to be under way",
      async () => (toldOf(contact).length > TEXTS * share ? true : null),
      TIMEOUT_MS,
    );
    await host?.kill();
    await burst;
    host = await flow.stack.addHost();
    await flow.until(
      "the whole burst",
      async () => (toldOf(contact).length >= TEXTS ? true : null),
      TIMEOUT_MS,
    );
    expect(toldOf(contact).map(({ text }) => text)).toEqual(texts);
    expect(new Set(toldOf(contact).map(({ id }) => id)).size).toBe(TEXTS);
  },
  TIMEOUT_MS * 3,
);
