/**
 * A text whose acknowledgement never came: after a minute, a new connection and its drained backlog it goes once
 * more, under the same WhatsApp id, so that the reader sees one text. The Worker's clock is moved by the test.
 */
import { beforeAll, expect, test } from "vitest";
import { useFlow } from "./support/flow.ts";
import { Saboteurs } from "./support/saboteur.ts";
import type { Customer } from "./support/stack.ts";

const PHONE = "6281234520001";
const RETRY_AFTER_MS = 61_000;

const flow = useFlow({ entry: "test/flow/support/sabotage-worker.ts" });
let customer: Customer;

beforeAll(async () => {
  customer = await flow.customer(PHONE);
});

/** The WhatsApp id of the one text that went to this contact, from WhatsApp's side. */
async function waIdOf(kind: string, contact: string): Promise<string> {
  const events = await flow.whatsapp.events(kind, PHONE);
  return events.find((event) => event["to"] === contact)?.id ?? "";
}

async function reconnect(): Promise<void> {
  const before = await flow.whatsapp.last();
  await flow.whatsapp.post("/faults", { kind: "drop", account: PHONE });
  await flow.whatsapp.event("online", PHONE, before);
}

test("a text that our own phone has seen needs no acknowledgement", async () => {
  const contact = "6281310003004";
  await flow.whatsapp.post(`/phones/${contact}`, { behaviour: { delivered: "hold" } });
  await flow.whatsapp.post("/acks", { to: contact, mode: "lost", count: 1 });
  const id = await flow.sendOne(customer, contact, "Pesan yang terlihat di telepon sendiri");
  expect((await flow.untilMessage(customer, id, "sent")).status).toBe("sent");
  await flow.untilMoney(id, "hold 200", "settle 200");
  expect(await flow.whatsapp.events("ack_lost", PHONE)).toHaveLength(1);
});

test("a text without an acknowledgement is sent once more with its own id, and shows once", async () => {
  const [swallowed, seen] = ["6281310003001", "6281310003002"] as const;
  await flow.whatsapp.post("/acks", { to: swallowed, mode: "swallow", count: 1 });
  await flow.whatsapp.post("/acks", { to: seen, mode: "hold", count: 1 });
  const { packets } = await flow.send(
    customer,
    { number: swallowed, message: "Pesan yang ditelan di jalan" },
    { number: seen, message: "Pesan yang sampai tanpa balasan" },
  );
  const ids = packets.map((packet) => packet.sendingid);
  await flow.whatsapp.event("swallowed", PHONE);
  await flow.whatsapp.event("message", seen);
  const waIds = [await waIdOf("swallowed", swallowed), await waIdOf("ack_held", seen)];

  // A minute alone proves nothing: what the server keeps for us may hold the acknowledgement.
  await new Saboteurs(flow.stack).moveTime(RETRY_AFTER_MS);
  const between = await flow.sendOne(customer, "6281310003003", "Pesan lain di antaranya");
  await flow.untilMessage(customer, between, "received");
  const early = (await flow.whatsapp.evidence()).messagesById;
  expect(waIds.map((waId) => early[waId])).toEqual([1, 1]);
  for (const id of ids) expect((await flow.message(customer, id)).status).toBe("pending");

  await reconnect();
  for (const id of ids) {
    await flow.untilMessage(customer, id, "read");
    await flow.untilMoney(id, "hold 200", "settle 200");
  }
  const { messagesById } = await flow.whatsapp.evidence();
  expect(waIds.map((waId) => messagesById[waId])).toEqual([2, 2]);
  expect(await flow.whatsapp.shown(swallowed, PHONE)).toMatchObject([{ id: waIds[0], copies: 1 }]);
  expect(await flow.whatsapp.shown(seen, PHONE)).toMatchObject([{ id: waIds[1], copies: 2 }]);
});
