/** Receipts that phones send to clients: delivered, read, "my own phone has it", and requests to send again. */

import type { JidServer } from "./jid.ts";
import { bundleNodes } from "./key-bundle.ts";
import type { Network } from "./network.ts";
import type { Phone } from "./phone.ts";
import { bigEndian, element, type Stanza } from "./stanza.ts";
import { sendText } from "./texts.ts";

export type ReceiptType = "delivered" | "read";

type Arrival = { receiver: Phone; device: number; sender: Phone; id: string; first: boolean };

/** A text was read from the wire at one of a contact's devices: what its owner does now. */
export function afterArrival(network: Network, arrival: Arrival): void {
  const { receiver, device, sender, id, first } = arrival;
  const behaviour = network.behaviourOf(receiver);
  if (behaviour.delivered === "auto") {
    network.later(behaviour.deliveredDelayMs, () =>
      sendReceipt(network, receiver, device, sender, id, "delivered"),
    );
  }
  if (device !== 0 || !first) return;
  if (behaviour.read === "auto" && behaviour.delivered === "auto") {
    network.later(behaviour.deliveredDelayMs + behaviour.readDelayMs, () =>
      sendReceipt(network, receiver, 0, sender, id, "read"),
    );
  }
  const { autoReply } = behaviour;
  if (autoReply !== null) {
    network.later(
      behaviour.autoReplyDelayMs,
      () => void sendText(network, receiver, sender, autoReply),
    );
  }
}

/** From one device of a contact to all clients of the account. Never before the server's acknowledgement. */
export function sendReceipt(
  network: Network,
  contact: Phone,
  device: number,
  account: Phone,
  id: string,
  type: ReceiptType,
): void {
  network.held.afterAck(account.number, id, () => {
    contact.screen.raise(account.number, id, type);
    account.screen.raise(contact.number, id, type);
    postReceipt(network, contact, device, account, { id, ...(type === "read" ? { type } : {}) });
    network.events.emit("receipt_sent", contact.number, { id, to: account.number, device, type });
    network.onChange();
  });
}

/** The account's own device has its copy of what a client of the account sent. */
export function sendOwnCopyReceipt(
  network: Network,
  account: Phone,
  device: number,
  recipient: Phone,
  id: string,
): void {
  network.held.afterAck(account.number, id, () => {
    const server = serverFor(network, account);
    postReceipt(network, account, device, account, {
      id,
      type: "sender",
      recipient: recipient.jid(server),
    });
    network.events.emit("receipt_sent", account.number, {
      id,
      to: account.number,
      device,
      type: "sender",
    });
  });
}

/** "I could not read this": the first request names only the registration, later ones bring fresh keys. */
export function sendRetryRequest(
  network: Network,
  contact: Phone,
  device: number,
  account: Phone,
  id: string,
): void {
  const count = network.nextRetry(contact, device, id);
  if (count === undefined) return;
  network.held.afterAck(account.number, id, () =>
    postRetry(network, contact, device, account, id, count, count > 1),
  );
}

export type ForgedReceipt = { id: string; type: ReceiptType | "retry"; withKeys: boolean };

/** A contact claims something about a message it may never have got. */
export function forgeReceipt(
  network: Network,
  forger: Phone,
  account: Phone,
  forged: ForgedReceipt,
): void {
  const { id, type, withKeys } = forged;
  if (type === "retry") return postRetry(network, forger, 0, account, id, 1, withKeys);
  postReceipt(network, forger, 0, account, { id, ...(type === "read" ? { type } : {}) });
  network.events.emit("receipt_sent", forger.number, {
    id,
    to: account.number,
    device: 0,
    type,
    forged: true,
  });
}

function postRetry(
  network: Network,
  contact: Phone,
  device: number,
  account: Phone,
  id: string,
  count: number,
  withKeys: boolean,
): void {
  const keys = contact.simulated(device);
  if (keys === undefined) return;
  postReceipt(network, contact, device, account, { id, type: "retry" }, [
    element("retry", { count: String(count), id, t: network.seconds, v: "1" }),
    element("registration", {}, bigEndian(keys.registrationId, 4)),
    ...(withKeys ? [element("keys", {}, bundleNodes(keys.bundle()))] : []),
  ]);
  network.events.emit("retry_sent", contact.number, { id, to: account.number, device, count });
}

function postReceipt(
  network: Network,
  from: Phone,
  device: number,
  account: Phone,
  attrs: Record<string, string>,
  content?: Stanza[],
): void {
  const address = from.jid(serverFor(network, from), device);
  for (const linked of account.linked.values()) {
    network.deliver(
      account,
      linked,
      element("receipt", { from: address, t: network.seconds, ...attrs }, content),
    );
  }
}

function serverFor(network: Network, phone: Phone): JidServer {
  return network.behaviourOf(phone).receiptsFrom === "lid" ? "lid" : "s.whatsapp.net";
}
