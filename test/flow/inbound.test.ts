/**
 * Texts that come in while the wire between host and Worker breaks inside the decryption: WhatsApp hears neither a
 * receipt nor an acknowledgement for what is not stored, delivers again, and each text is stored once.
 */
import { afterEach, beforeAll, expect, test } from "vitest";
import { BridgeTap } from "./support/bridge-tap.ts";
import { useFlow } from "./support/flow.ts";
import type { Customer } from "./support/stack.ts";
import type { StackProcess } from "./support/stack-process.ts";

const PHONE = "6281234530001";

const flow = useFlow({ hosts: 0 });
let tap: BridgeTap;
let host: StackProcess;
let customer: Customer;

beforeAll(async () => {
  tap = await BridgeTap.start(flow.stack.url);
  host = await flow.stack.addHost({ GATEWAY_URL: tap.url });
  customer = await flow.customer(PHONE);
  return () => tap.close();
});

afterEach(() => tap.listen({}));

async function write(from: string, text: string): Promise<string> {
  flow.keepSecret(text, from.slice(2));
  return flow.whatsapp.write(from, PHONE, text);
}

function storedTexts(from: string): unknown[] {
  return flow.stored.inbound(customer.waid, from);
}

/** Cuts the wire at the first commit that carries a text: before the Worker has it, or before the host knows. */
function cutAtText(when: "before it is stored" | "after it is stored"): Promise<void> {
  return new Promise((resolve) => {
    let seq: number | null = null;
    const cut = (): "drop" => {
      tap.cut();
      resolve();
      return "drop";
    };
    tap.listen({
      fromHost: (frame) => {
        if (frame.t !== "keys_commit" || frame.inbound.length === 0) return "pass";
        seq = frame.seq;
        return when === "before it is stored" ? cut() : "pass";
      },
      fromDevice: (frame) => (frame.t === "keys_committed" && frame.seq === seq ? cut() : "pass"),
    });
  });
}

async function untilAcked(id: string): Promise<void> {
  await flow.until("an acknowledgement", async () => {
    const acked = await flow.whatsapp.events("inbound_acked", PHONE);
    return acked.some((event) => event.id === id) ? true : null;
  });
}

/** A text that is decrypted a second time is answered with an error code, which takes it off the backlog as well. */
async function untilAnswered(id: string): Promise<void> {
  await flow.until("an answer", async () => {
    const answered = [
      ...(await flow.whatsapp.events("inbound_acked", PHONE)),
      ...(await flow.whatsapp.events("inbound_nacked", PHONE)),
    ];
    return answered.some((event) => event.id === id) ? true : null;
  });
  expect((await flow.whatsapp.evidence()).inbound[id]).toMatchObject([{ sent: 2, retries: 0 }]);
}

async function expectUnheard(id: string): Promise<void> {
  const { inbound } = await flow.whatsapp.evidence();
  expect(inbound[id]).toMatchObject([{ receipts: [], acks: [], retries: 0 }]);
}

test("a text is stored, then acknowledged", async () => {
  const from = "6281310004001";
  const id = await write(from, "Halo, apakah toko buka?");
  await untilAcked(id);
  expect(storedTexts(from)).toEqual([{ id, body: "Halo, apakah toko buka?" }]);
});

test("a text whose commit was lost is delivered again to the host that comes next", async () => {
  const from = "6281310004002";
  const cut = cutAtText("before it is stored");
  const id = await write(from, "Pesan yang terputus sebelum tersimpan");
  await cut;
  await expectUnheard(id);
  await host.kill();
  expect(storedTexts(from)).toEqual([]);
  await expectUnheard(id);

  tap.listen({});
  tap.mend();
  host = await flow.stack.addHost({ GATEWAY_URL: tap.url });
  await untilAcked(id);
  expect(storedTexts(from)).toEqual([{ id, body: "Pesan yang terputus sebelum tersimpan" }]);
  expect((await flow.whatsapp.evidence()).inbound[id]).toMatchObject([
    { sent: 2, receipts: ["inactive"], retries: 0 },
  ]);
});

test("a text that was stored just before the wire broke is not stored twice", async () => {
  const from = "6281310004003";
  const cut = cutAtText("after it is stored");
  const id = await write(from, "Pesan yang terputus setelah tersimpan");
  await cut;
  await expectUnheard(id);
  await host.kill();
  expect(storedTexts(from)).toHaveLength(1);

  tap.listen({});
  tap.mend();
  host = await flow.stack.addHost({ GATEWAY_URL: tap.url });
  await untilAnswered(id);
  expect(storedTexts(from)).toEqual([{ id, body: "Pesan yang terputus setelah tersimpan" }]);
  const next = await write(from, "Pesan berikutnya dari orang yang sama");
  await untilAcked(next);
  expect(storedTexts(from)).toHaveLength(2);
});

test("a host that waits out a cut wire ends its connection, and the text comes again", async () => {
  const from = "6281310004004";
  const before = await flow.whatsapp.last();
  const cut = cutAtText("before it is stored");
  const id = await write(from, "Pesan yang menunggu kabel tersambung");
  await cut;
  await flow.whatsapp.event("disconnected", PHONE, before);
  await expectUnheard(id);
  expect(storedTexts(from)).toEqual([]);

  tap.listen({});
  tap.mend();
  await untilAnswered(id);
  expect(storedTexts(from)).toEqual([{ id, body: "Pesan yang menunggu kabel tersambung" }]);
  const next = await write(from, "Pesan berikutnya setelah kabel tersambung");
  await untilAcked(next);
  const reply = await flow.sendOne(customer, from, "Balasan dari toko");
  await flow.untilMessage(customer, reply, "received");
});
