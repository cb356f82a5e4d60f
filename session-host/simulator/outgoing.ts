/**
 * A client's message: acknowledged (or not) by the server, then really decrypted at every device it was encrypted
 * for. Screens, receipts and retry requests follow from what could be read.
 */

import { digestOfIdentity } from "./adv.ts";
import { readSenderIdentity, type EncType } from "./ciphertext.ts";
import type { Connection, Login } from "./connection.ts";
import { untyped } from "./curve.ts";
import { parseJid, type Jid } from "./jid.ts";
import { readMessage, type ReadMessage } from "./message-text.ts";
import type { Network } from "./network.ts";
import type { Phone } from "./phone.ts";
import { afterArrival, sendOwnCopyReceipt, sendRetryRequest } from "./receipts.ts";
import { refusalOfNewChat } from "./restriction.ts";
import { bytes, child, children, element, type Stanza } from "./stanza.ts";

type Part = { to: Jid; enc: Stanza; first: boolean };

type Envelope = { id: string; login: Login; stanza: Stanza; destination: Phone };

export async function handleMessage(
  network: Network,
  connection: Connection,
  stanza: Stanza,
): Promise<boolean> {
  const { login } = connection;
  const destination = network.directory.find(
    parseJid(stanza.attrs["recipient"] ?? stanza.attrs["to"]),
  );
  const id = stanza.attrs["id"];
  if (login === undefined || destination === undefined || id === undefined) return false;
  const envelope: Envelope = { id, login, stanza, destination };
  network.evidence.message(id);
  if (acknowledge(network, connection, envelope) === "stop") return true;
  for (const part of partsOf(stanza)) await arrive(network, envelope, part);
  network.onChange();
  return true;
}

/** A resend names its one device twice, in `<enc>` and in `<participants>`: each device reads the first it gets. */
function partsOf(stanza: Stanza): Part[] {
  const direct = child(stanza, "enc");
  const named = children(child(stanza, "participants")).map((to) => ({
    jid: to.attrs["jid"],
    enc: child(to, "enc"),
  }));
  const all = direct === undefined ? named : [{ jid: stanza.attrs["to"], enc: direct }, ...named];
  const seen = new Set<string | undefined>();
  return all.flatMap(({ jid, enc }): Part[] => {
    const to = parseJid(jid);
    if (to === undefined || enc === undefined) return [];
    const first = !seen.has(jid);
    seen.add(jid);
    return [{ to, enc, first }];
  });
}

function acknowledge(
  network: Network,
  connection: Connection,
  envelope: Envelope,
): "stop" | "go on" {
  const { id, login, stanza, destination } = envelope;
  const account = login.phone.number;
  const to = destination.number;
  const isPeer = stanza.attrs["category"] === "peer";
  const rule = isPeer ? undefined : network.faults.takeAckRule(account, to);
  const ack = { id, class: "message", from: stanza.attrs["to"] ?? "", t: network.seconds };
  const sendAck = (): void => {
    // The socket may have changed while the acknowledgement was held.
    (network.online(login.phone, login.linked) ?? connection).send(element("ack", ack));
    destinationTick(network, login.phone, to, id);
    network.events.emit("ack_sent", account, { id, to });
  };
  if (rule?.mode === "swallow") {
    network.events.emit("swallowed", account, { id, to });
    return "stop";
  }
  const code =
    rule?.mode === "error"
      ? rule.code
      : isPeer
        ? undefined
        : refusalOfNewChat(network, login.phone, destination);
  if (code !== undefined) {
    connection.send(element("ack", { ...ack, error: String(code) }));
    network.events.emit("ack_sent", account, { id, to, error: code });
    return "stop";
  }
  if (rule?.mode === "lost") {
    network.events.emit("ack_lost", account, { id, to });
  } else if (rule?.mode === "hold") {
    network.held.hold(account, to, id, sendAck);
    network.events.emit("ack_held", account, { id, to });
  } else {
    sendAck();
    network.held.release({ account, id });
  }
  return "go on";
}

function destinationTick(network: Network, account: Phone, to: string, id: string): void {
  account.screen.raise(to, id, "sent");
  network.onChange();
}

async function arrive(network: Network, envelope: Envelope, part: Part): Promise<void> {
  const receiver = network.directory.find(part.to);
  if (receiver === undefined || !network.directory.isRegistered(receiver)) return;
  const { login } = envelope;
  const type: EncType = part.enc.attrs["type"] === "pkmsg" ? "pkmsg" : "msg";
  const ciphertext = bytes(part.enc);
  const session = `${login.phone.number}:${login.linked.device} > ${receiver.number}:${part.to.device}`;
  const keySeenBefore = network.evidence.ciphertext(session, type, ciphertext);
  if (!part.first) return;
  if (type === "pkmsg") checkSender(network, envelope, ciphertext);
  const linked = receiver.linked.get(part.to.device);
  if (linked !== undefined) return forward(network, envelope, receiver, part);
  const keys = receiver.simulated(part.to.device);
  if (keys === undefined) return;
  const peer = { lid: login.phone.lid, device: login.linked.device };
  let message: ReadMessage;
  try {
    message = readMessage(await keys.decrypt(peer, type, ciphertext));
  } catch (error) {
    network.evidence.decryptFailure(keySeenBefore);
    const reason = error instanceof Error ? error.message : "unknown";
    const { id } = envelope;
    network.events.emit("decrypt_failed", receiver.number, {
      id,
      device: part.to.device,
      from: login.phone.number,
      keySeenBefore,
      reason,
    });
    return sendRetryRequest(network, receiver, part.to.device, login.phone, id);
  }
  show(network, envelope, receiver, part.to.device, message);
}

function show(
  network: Network,
  envelope: Envelope,
  receiver: Phone,
  device: number,
  message: ReadMessage,
): void {
  const { id, login, destination } = envelope;
  const sender = login.phone;
  const isOwnCopy = receiver === sender;
  if (isOwnCopy && message.sentTo === undefined) {
    network.events.emit("peer_message", sender.number, { id, what: message.kind });
    return;
  }
  const peer = isOwnCopy ? destination.number : sender.number;
  const { shown, firstHere } = receiver.screen.receive(
    peer,
    {
      id,
      direction: isOwnCopy ? "out" : "in",
      from: sender.number,
      to: destination.number,
      text: message.text ?? `[${message.kind}]`,
      atMs: network.now(),
      tick: "sent",
    },
    device,
  );
  const duplicate = !firstHere;
  network.events.emit("message", receiver.number, {
    id,
    device,
    from: sender.number,
    to: destination.number,
    text: shown.text,
    duplicate,
    own: isOwnCopy,
  });
  if (isOwnCopy) return sendOwnCopyReceipt(network, sender, device, destination, id);
  afterArrival(network, { receiver, device, sender, id, first: firstHere });
}

/** From one real client to another: the server passes the ciphertext on and keeps it until it is acknowledged. */
function forward(network: Network, envelope: Envelope, receiver: Phone, part: Part): void {
  const { id, login, stanza, destination } = envelope;
  const linked = receiver.linked.get(part.to.device);
  if (linked === undefined) return;
  const fromLid = network.behaviourOf(login.phone).textsFrom === "lid";
  const from = login.phone.jid(fromLid ? "lid" : "s.whatsapp.net", login.linked.device);
  const attrs: Record<string, string> = {
    id,
    from,
    type: stanza.attrs["type"] ?? "text",
    t: network.seconds,
    notify: login.phone.name,
    addressing_mode: fromLid ? "lid" : "pn",
    ...(fromLid
      ? { sender_pn: login.phone.jid("s.whatsapp.net") }
      : { sender_lid: login.phone.jid("lid") }),
    ...(receiver === login.phone
      ? { recipient: destination.jid(fromLid ? "lid" : "s.whatsapp.net") }
      : {}),
  };
  const identity = child(stanza, "device-identity");
  network.deliver(
    receiver,
    linked,
    element("message", attrs, identity === undefined ? [part.enc] : [part.enc, identity]),
  );
  network.events.emit("inbound_sent", receiver.number, {
    id,
    device: linked.device,
    from: login.phone.number,
  });
}

/** The first time a client writes, it must present the identity that was verified at its linking. */
function checkSender(network: Network, envelope: Envelope, ciphertext: Buffer): void {
  const { linked } = envelope.login;
  if (linked.identitySeen) return;
  const presented = child(envelope.stanza, "device-identity");
  const identity = readSenderIdentity(ciphertext);
  if (presented === undefined || identity === undefined) {
    network.evidence.wrongSignature("first message without device identity");
    return;
  }
  const isRight =
    digestOfIdentity(bytes(presented)) === linked.identityDigest &&
    untyped(identity).equals(linked.identity);
  if (isRight) linked.identitySeen = true;
  else network.evidence.wrongSignature("first message with another identity than the linked one");
}
