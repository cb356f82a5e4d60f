/**
 * A simulated device writes to a real client: opens a Signal session from the server's stock when it has none,
 * encrypts, and notices when the client's stock runs low.
 */

import { readHeader } from "./ciphertext.ts";
import { SERVER } from "./jid.ts";
import type { LinkedDevice } from "./linked-device.ts";
import type { Network } from "./network.ts";
import type { Phone } from "./phone.ts";
import { element, type Stanza } from "./stanza.ts";
import type { KeyBundle } from "./key-bundle.ts";

export type Author = { phone: Phone; device: number };
export type Reader = { phone: Phone; linked: LinkedDevice };

const LOW_STOCK = 5;

/** The `<enc>` for one linked device. */
export async function sealFor(
  network: Network,
  author: Author,
  reader: Reader,
  message: Uint8Array,
): Promise<Stanza> {
  const keys = author.phone.simulated(author.device);
  if (keys === undefined) throw new Error("only simulated devices write");
  const peer = { lid: reader.phone.lid, device: reader.linked.device };
  if (!keys.hasSession(peer))
    await keys.open(peer, takeBundle(network, reader.phone, reader.linked));
  const { type, ciphertext } = await keys.encrypt(peer, message);
  if (author.phone.damagedToSend > 0) {
    author.phone.damagedToSend -= 1;
    damage(type, ciphertext);
  }
  network.onChange();
  return element("enc", { v: "2", type }, ciphertext);
}

/** Starts over with this reader: from the keys it sent, or else from its stock. */
export async function startOver(
  network: Network,
  author: Author,
  reader: Reader,
  bundle: KeyBundle | undefined,
): Promise<void> {
  const keys = author.phone.simulated(author.device);
  const peer = { lid: reader.phone.lid, device: reader.linked.device };
  await keys?.open(peer, bundle ?? takeBundle(network, reader.phone, reader.linked));
}

/** Hands out a client's keys; below five left the server says so, once. */
export function takeBundle(network: Network, phone: Phone, linked: LinkedDevice): KeyBundle {
  const bundle = linked.takeBundle();
  if (linked.stock < LOW_STOCK && !linked.lowStockNoticed) {
    linked.lowStockNoticed = true;
    const attrs = { id: network.newId(""), from: SERVER, type: "encrypt", t: network.seconds };
    network.deliver(
      phone,
      linked,
      element("notification", attrs, [element("count", { value: String(linked.stock) })]),
    );
  }
  return bundle;
}

/** Flips a bit of the message's authentication code: the reader's session stays whole, the message does not open. */
function damage(type: "pkmsg" | "msg", ciphertext: Buffer): void {
  const message = readHeader(type, ciphertext)?.message;
  if (message === undefined) return;
  const last = ciphertext.indexOf(message) + message.length - 1;
  ciphertext[last] = (ciphertext[last] ?? 0) ^ 1;
}
