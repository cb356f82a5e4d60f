/** What clients say about texts they were sent: receipts, retry requests, acknowledgements. */

import type { Connection, Login } from "./connection.ts";
import { parseJid } from "./jid.ts";
import { parseRetryBundle } from "./key-bundle.ts";
import type { Network } from "./network.ts";
import type { Phone } from "./phone.ts";
import { child, children, element, type Stanza } from "./stanza.ts";
import { sendAgain } from "./texts.ts";

/** Types that only the server and the account's own phone care about. */
const INTERNAL = new Set(["sender", "peer_msg", "hist_sync", "read-self"]);

export async function handleReceipt(
  network: Network,
  connection: Connection,
  stanza: Stanza,
): Promise<boolean> {
  const { login } = connection;
  const writer = network.directory.find(parseJid(stanza.attrs["to"]));
  const id = stanza.attrs["id"];
  if (login === undefined || writer === undefined || id === undefined) return false;
  const type = stanza.attrs["type"] ?? "delivered";
  const { attrs } = stanza;
  connection.send(
    element("ack", {
      id,
      class: "receipt",
      from: attrs["to"] ?? "",
      t: network.seconds,
      ...(attrs["type"] === undefined ? {} : { type }),
    }),
  );
  const ids = [id, ...children(child(stanza, "list")).map((item) => item.attrs["id"] ?? "")];
  for (const one of ids) await receiptFor(network, login, writer, one, type, stanza);
  network.onChange();
  return true;
}

async function receiptFor(
  network: Network,
  login: Login,
  writer: Phone,
  id: string,
  type: string,
  stanza: Stanza,
): Promise<void> {
  const { phone, linked } = login;
  network.evidence.inboundReceipt(id, phone.jid("s.whatsapp.net", linked.device), type);
  if (type === "retry") return retry(network, login, writer, id, stanza);
  if (linked.backlog.takeMessage(id)) {
    network.events.emit("inbound_acked", phone.number, { id, device: linked.device, by: type });
  }
  network.events.emit("receipt_received", writer.number, {
    id,
    by: phone.number,
    device: linked.device,
    type,
  });
  if (INTERNAL.has(type)) return;
  const isRead = type === "read";
  writer.screen.raise(phone.number, id, isRead ? "read" : "delivered");
  phone.screen.raise(writer.number, id, isRead ? "read" : "delivered");
  const from = phone.jid("s.whatsapp.net", linked.device);
  for (const device of writer.linked.values()) {
    network.deliver(
      writer,
      device,
      element("receipt", { id, from, t: network.seconds, ...(isRead ? { type } : {}) }),
    );
  }
}

async function retry(
  network: Network,
  login: Login,
  writer: Phone,
  id: string,
  stanza: Stanza,
): Promise<void> {
  const { phone, linked } = login;
  const count = Number(child(stanza, "retry")?.attrs["count"] ?? "1");
  network.events.emit("retry_received", writer.number, {
    id,
    by: phone.number,
    device: linked.device,
    count,
  });
  linked.backlog.expectNack(id);
  const author = writer.linked.get(parseJid(stanza.attrs["to"])?.device ?? 0);
  if (author !== undefined) {
    const from = phone.jid("s.whatsapp.net", linked.device);
    network.deliver(
      writer,
      author,
      element("receipt", { id, from, t: network.seconds, type: "retry" }, children(stanza)),
    );
    return;
  }
  await sendAgain(network, writer, phone, linked, id, count, parseRetryBundle(stanza));
}

export function handleAck(network: Network, connection: Connection, stanza: Stanza): boolean {
  const { login } = connection;
  const { id, class: about, error } = stanza.attrs;
  if (login === undefined || id === undefined || about === undefined) return false;
  const { phone, linked } = login;
  const removed = linked.backlog.takeAck(stanza);
  network.onChange();
  if (about !== "message") return true;
  network.evidence.inboundAck(id, phone.jid("s.whatsapp.net", linked.device), error);
  if (error !== undefined)
    network.events.emit("inbound_nacked", phone.number, { id, device: linked.device, error });
  else if (removed)
    network.events.emit("inbound_acked", phone.number, { id, device: linked.device, by: "ack" });
  return true;
}
