/** Queries about the account's settings, answered with the least the client accepts, and the privacy tokens. */

import { createHash } from "node:crypto";
import { one, type IqAnswer } from "./iq-answer.ts";
import type { Network } from "./network.ts";
import type { Phone } from "./phone.ts";
import { restrictionState } from "./restriction.ts";
import { child, children, element, type Stanza } from "./stanza.ts";

/** The two questions about restrictions a client asks, by their published query ids. */
const RESTRICTION_QUERY = "23983697327930364";
const CAPPING_QUERY = "24503548349331633";
const NO_CAPPING = { total_quota: "-1", used_quota: "0", capping_status: "NONE" };

const PRIVACY = [
  "readreceipts",
  "last",
  "online",
  "profile",
  "status",
  "groupadd",
  "calladd",
  "messages",
];

export function answerAccountQuery(network: Network, account: Phone, stanza: Stanza): IqAnswer {
  const first = children(stanza)[0];
  switch (stanza.attrs["xmlns"]) {
    case "abt":
      return one("props", { protocol: "1", hash: "simulator", refresh: "86400" });
    case "blocklist":
      return one("list");
    case "privacy":
      return first?.tag === "tokens"
        ? privacyTokens(network, first)
        : one(
            "privacy",
            {},
            PRIVACY.map((name) => element("category", { name, value: "all" })),
          );
    case "w:sync:app:state":
      return appState(stanza);
    case "w:mex":
      return restrictionQuery(network, account, first);
    case "urn:xmpp:whatsapp:dirty":
    case "w:stats":
      return { content: undefined };
    default:
      return undefined;
  }
}

/** A token per contact, the same one each time, as proof that a chat is wanted. */
function privacyTokens(network: Network, tokens: Stanza): IqAnswer {
  const answers = children(tokens).map((token) => {
    const jid = token.attrs["jid"] ?? "";
    const value = createHash("sha256").update(`token ${jid}`).digest().subarray(0, 16);
    return element(
      "token",
      { jid, t: token.attrs["t"] ?? network.seconds, type: "trusted_contact" },
      value,
    );
  });
  return one("tokens", {}, answers);
}

/** Settings shared between a person's devices: there are none, in any collection. */
function appState(stanza: Stanza): IqAnswer {
  const collections = children(child(stanza, "sync")).map((collection) => {
    return element("collection", {
      name: collection.attrs["name"] ?? "",
      version: collection.attrs["version"] ?? "0",
    });
  });
  return one("sync", {}, collections);
}

function restrictionQuery(network: Network, account: Phone, query: Stanza | undefined): IqAnswer {
  const data = restrictionsAsked(network, account, query?.attrs["query_id"]);
  return data === undefined ? undefined : one("result", {}, Buffer.from(JSON.stringify({ data })));
}

function restrictionsAsked(network: Network, account: Phone, queryId: string | undefined) {
  if (queryId === RESTRICTION_QUERY) {
    network.events.emit("restriction_asked", account.number);
    return { xwa2_fetch_account_reachout_timelock: restrictionState(network, account) };
  }
  return queryId === CAPPING_QUERY ? { xwa2_message_capping_info: NO_CAPPING } : undefined;
}
