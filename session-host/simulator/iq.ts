/** The queries a client makes: which part answers which, and the few that change the connection itself. */

import type { Connection } from "./connection.ts";
import { answerAccountQuery } from "./iq-account.ts";
import type { IqAnswer } from "./iq-answer.ts";
import { answerDirectoryQuery } from "./iq-directory.ts";
import { answerKeyQuery } from "./iq-keys.ts";
import { announceCode, finishCode, unlink } from "./linking.ts";
import { becomeActive } from "./login.ts";
import type { Network } from "./network.ts";
import { parseJid } from "./jid.ts";
import { children, iqError, iqResult, type Stanza } from "./stanza.ts";

export function handleIq(network: Network, connection: Connection, stanza: Stanza): boolean {
  const answer = answerIq(network, connection, stanza);
  if (answer === undefined) return false;
  if ("refuse" in answer) {
    connection.send(iqError(stanza, answer.refuse, answer.text));
    return true;
  }
  connection.send(iqResult(stanza, answer.content));
  answer.afterwards?.();
  return true;
}

function answerIq(network: Network, connection: Connection, stanza: Stanza): IqAnswer {
  const namespace = stanza.attrs["xmlns"];
  if (namespace === "w:p") return { content: undefined };
  if (namespace === "md") return answerLinkQuery(network, connection, stanza);
  if (connection.login === undefined) return undefined;
  switch (namespace) {
    case "passive":
      return answerPassive(network, connection, stanza);
    case "encrypt":
      return answerKeyQuery(network, connection.login, stanza);
    case "usync":
      return answerDirectoryQuery(network, stanza);
    default:
      return answerAccountQuery(network, connection.login.phone, stanza);
  }
}

function answerPassive(network: Network, connection: Connection, stanza: Stanza): IqAnswer {
  if (children(stanza)[0]?.tag !== "active") return { content: undefined };
  return { content: undefined, afterwards: () => becomeActive(network, connection) };
}

function answerLinkQuery(network: Network, connection: Connection, stanza: Stanza): IqAnswer {
  const request = children(stanza)[0];
  if (request?.tag === "link_code_companion_reg" && connection.registration !== undefined) {
    if (request.attrs["stage"] === "companion_hello")
      return { content: announceCode(network, connection, request) };
    if (request.attrs["stage"] === "companion_finish")
      return { content: undefined, afterwards: () => finishCode(network, request) };
    return undefined;
  }
  if (request?.tag === "remove-companion-device" && connection.login !== undefined) {
    const { phone, linked } = connection.login;
    const jid = parseJid(request.attrs["jid"]);
    if (network.directory.find(jid) !== phone || jid?.device !== linked.device)
      return { refuse: 403, text: "forbidden" };
    return { content: undefined, afterwards: () => void unlink(network, phone, linked.device) };
  }
  return undefined;
}
