/** Sends each stanza of a client to the part that handles it. What nobody handles is counted and refused with 501. */

import type { Connection } from "./connection.ts";
import { handleIq } from "./iq.ts";
import { sendBacklog } from "./login.ts";
import { handleMessage } from "./outgoing.ts";
import { handleAck, handleReceipt } from "./client-receipts.ts";
import type { Network } from "./network.ts";
import { children, iqError, kindOf, type Stanza } from "./stanza.ts";
import { parseJid } from "./jid.ts";

export async function route(
  network: Network,
  connection: Connection,
  stanza: Stanza,
): Promise<void> {
  network.evidence.stanza(kindOf(stanza));
  if (!(await handled(network, connection, stanza))) unexpected(network, connection, stanza);
}

async function handled(network: Network, connection: Connection, stanza: Stanza): Promise<boolean> {
  if (stanza.tag === "iq")
    return connection.takeAnswer(stanza) || handleIq(network, connection, stanza);
  if (connection.login === undefined) return handledBeforeLogin(stanza);
  switch (stanza.tag) {
    case "message":
      return handleMessage(network, connection, stanza);
    case "receipt":
      return handleReceipt(network, connection, stanza);
    case "ack":
      return handleAck(network, connection, stanza);
    case "ib":
      return handleInfo(network, connection, stanza);
    case "presence":
      return handlePresence(connection, stanza);
    case "chatstate":
      return handleTyping(network, connection, stanza);
    default:
      return false;
  }
}

/** A client that is being linked acknowledges the notification, sets its name and sends telemetry. */
function handledBeforeLogin(stanza: Stanza): boolean {
  return stanza.tag === "ack" || stanza.tag === "presence" || stanza.tag === "ib";
}

function handleInfo(network: Network, connection: Connection, stanza: Stanza): boolean {
  const tag = children(stanza)[0]?.tag;
  if (tag === "offline_batch") sendBacklog(network, connection);
  return tag === "offline_batch" || tag === "unified_session";
}

function handlePresence(connection: Connection, stanza: Stanza): boolean {
  const type = stanza.attrs["type"];
  if (type === "available" || type === "unavailable") connection.available = type === "available";
  return type === undefined || ["available", "unavailable", "subscribe"].includes(type);
}

function handleTyping(network: Network, connection: Connection, stanza: Stanza): boolean {
  const state = children(stanza)[0]?.tag;
  const phone = network.directory.find(parseJid(stanza.attrs["to"]));
  if (state !== "composing" && state !== "paused") return false;
  network.events.emit("typing", phone?.number ?? "", {
    from: connection.login?.phone.number,
    state,
  });
  return true;
}

function unexpected(network: Network, connection: Connection, stanza: Stanza): void {
  const kind = kindOf(stanza);
  network.evidence.unexpected(kind);
  network.events.emit("unexpected", connection.login?.phone.number ?? "", { stanza: kind });
  if (stanza.tag === "iq") connection.send(iqError(stanza, 501, "feature-not-implemented"));
}
