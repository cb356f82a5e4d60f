/**
 * Texts written on a phone: to its partner's phone and linked clients (really encrypted for each), and as copies to
 * the writer's own linked clients. Also the answer to a client that could not read one.
 */

import type { KeyBundle } from "./key-bundle.ts";
import type { LinkedDevice } from "./linked-device.ts";
import { writeSentCopy, writeText } from "./message-text.ts";
import type { Network } from "./network.ts";
import type { Phone } from "./phone.ts";
import { sealFor, startOver } from "./sealing.ts";
import { element } from "./stanza.ts";

type Text = { id: string; writer: Phone; partner: Phone; text: string };

/** Returns the WhatsApp id. Undefined when the partner is not on WhatsApp. */
export async function sendText(
  network: Network,
  writer: Phone,
  partner: Phone,
  text: string,
): Promise<string | undefined> {
  if (!network.directory.isRegistered(partner)) return undefined;
  const sent: Text = { id: network.newId("3A"), writer, partner, text };
  await network.inOrder(`text ${writer.number}`, () => post(network, sent));
  return sent.id;
}

async function post(network: Network, sent: Text): Promise<void> {
  const { id, writer, partner, text } = sent;
  const message = { id, from: writer.number, to: partner.number, text, atMs: network.now() };
  writer.screen.receive(partner.number, { ...message, direction: "out", tick: "sent" }, 0);
  if (partner !== writer) {
    partner.screen.receive(writer.number, { ...message, direction: "in", tick: "delivered" }, 0);
    writer.screen.raise(partner.number, id, "delivered");
    for (const linked of partner.linked.values()) await postTo(network, sent, partner, linked);
  }
  for (const linked of writer.linked.values()) await postTo(network, sent, writer, linked);
  network.events.emit("message", partner.number, {
    id,
    device: 0,
    from: writer.number,
    to: partner.number,
    text,
    duplicate: false,
    own: false,
  });
  network.onChange();
}

/** To one client: of the partner, or of the writer (then as a copy of what was sent). */
async function postTo(
  network: Network,
  sent: Text,
  owner: Phone,
  linked: LinkedDevice,
  retry?: number,
): Promise<void> {
  const { id, writer, partner, text } = sent;
  const isCopy = owner === writer;
  const fromLid = network.behaviourOf(writer).textsFrom === "lid";
  const server = fromLid ? "lid" : "s.whatsapp.net";
  const content = isCopy ? writeSentCopy(text, partner.jid(server)) : writeText(text);
  const enc = await sealFor(
    network,
    { phone: writer, device: 0 },
    { phone: owner, linked },
    content,
  );
  if (retry !== undefined) enc.attrs["count"] = String(retry);
  const attrs: Record<string, string> = {
    id,
    from: writer.jid(server),
    type: "text",
    t: network.seconds,
    notify: writer.name,
    addressing_mode: fromLid ? "lid" : "pn",
    ...(fromLid ? { sender_pn: writer.jid("s.whatsapp.net") } : { sender_lid: writer.jid("lid") }),
    ...(isCopy ? { recipient: partner.jid(server) } : {}),
    ...(isCopy && fromLid ? { recipient_pn: partner.jid("s.whatsapp.net") } : {}),
  };
  network.events.emit("inbound_sent", owner.number, {
    id,
    device: linked.device,
    from: writer.number,
    ...(retry === undefined ? {} : { retry }),
  });
  network.deliver(owner, linked, element("message", attrs, [enc]));
}

/** A client asks for a text again: start a new session with it and send the same id. False when we wrote no such text. */
export async function sendAgain(
  network: Network,
  writer: Phone,
  owner: Phone,
  linked: LinkedDevice,
  id: string,
  count: number,
  bundle: KeyBundle | undefined,
): Promise<boolean> {
  const chats = writer.screen.chats();
  const message = chats
    .flatMap((chat) => chat.messages)
    .find((one) => one.id === id && one.direction === "out");
  if (message === undefined) return false;
  const sent: Text = {
    id,
    writer,
    partner: network.directory.phone(message.to),
    text: message.text,
  };
  await network.inOrder(`text ${writer.number}`, async () => {
    await startOver(network, { phone: writer, device: 0 }, { phone: owner, linked }, bundle);
    await postTo(network, sent, owner, linked, count);
  });
  return true;
}
