/**
 * Hosts of two versions in one fleet: one takes the edge for one of the first version and speaks that, one speaks the current.
 * A phone goes from one to the other and back while it writes, is refused and is written to. Nothing passes the first host's
 * wires that the first version could not read.
 */
import { beforeAll, expect, test } from "vitest";
import { z } from "zod";
import { readerOf, type Speaker } from "../support/bridge-golden.ts";
import { BridgeTap } from "./support/bridge-tap.ts";
import { useFlow } from "./support/flow.ts";
import type { Customer } from "./support/stack.ts";

const PHONE = "6281234620001";
const contact = "6281310008001";
const stranger = "6281310008002";

const flow = useFlow({ hosts: 0 });
const unread: string[] = [];
const kinds = new Set<string>();
let tap: BridgeTap;
let customer: Customer;

beforeAll(async () => {
  tap = await BridgeTap.start(flow.stack.url, { namesVersions: false });
  const complaint = readerOf(1);
  const look = (from: Speaker, frame: { t: string }): void => {
    kinds.add(`${from} ${frame.t}`);
    const unreadable = complaint(from, frame);
    if (unreadable !== null) unread.push(unreadable);
  };
  const pass = (from: Speaker) => (frame: { t: string }) => {
    look(from, frame);
    return "pass" as const;
  };
  tap.listen({
    fromHost: pass("host"),
    fromDevice: pass("device"),
    control: (from, frame) => look(from, frame as { t: string }),
  });
  await flow.stack.addHost({ GATEWAY_URL: tap.url });
  customer = await flow.customer(PHONE);
  return () => tap.close();
});

async function protocolOf(host: number): Promise<unknown> {
  const shape = z.object({ hosts: z.array(z.object({ id: z.string(), protocol: z.number() })) });
  const call = { method: "GET" as const, path: "/operator/hosts", token: flow.stack.operatorToken };
  const answer = await flow.stack.call(call, shape);
  const id = flow.stack.hostIds[host];
  return answer.ok ? answer.value.hosts.find((one) => one.id === id)?.protocol : answer;
}

async function untilOn(host: number): Promise<void> {
  await flow.until(`the phone to be on host ${host}`, async () =>
    flow.hostOf(customer) === host ? true : null,
  );
  await flow.untilDevice(customer, "connected");
}

async function writes(text: string): Promise<void> {
  const id = await flow.sendOne(customer, contact, text);
  await flow.untilMessage(customer, id, "received");
  const shown = await flow.whatsapp.shown(contact, PHONE);
  expect(shown.filter((one) => one.text === text)).toMatchObject([{ copies: 1 }]);
}

test("a phone lives on a host of the first version, moves to a current one and back", async () => {
  await writes("Pesan lewat versi pertama");
  await flow.stack.addHost();
  expect([await protocolOf(0), await protocolOf(1)]).toEqual([1, 2]);

  await flow.drain(0, true);
  await untilOn(1);
  await writes("Pesan lewat versi sekarang");

  await flow.drain(0, false);
  await flow.drain(1, true);
  await untilOn(0);
  await writes("Pesan kembali lewat versi pertama");
  await flow.whatsapp.write(contact, PHONE, "Balasan dari kontak itu");
  await flow.until("the text to be stored", async () =>
    flow.stored.inbound(customer.waid, contact).length > 0 ? true : null,
  );
  await flow.whatsapp.post(`/phones/${PHONE}/restriction`, { active: true });
  const refused = await flow.sendOne(customer, stranger, "Pesan kepada orang baru");
  await flow.untilMessage(customer, refused, "reject");
  await writes("Pesan kepada yang sudah kenal");
  await flow.stack.hosts[0]?.terminate();

  expect(unread).toEqual([]);
  for (const kind of [
    "fleet assign",
    "fleet withdraw",
    "host-control draining",
    "device command",
  ]) {
    expect([...kinds]).toContain(kind);
  }
});
