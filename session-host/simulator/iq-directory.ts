/** The directory query ("usync"): is a number on WhatsApp, which devices has it, what is its LID. */

import { one, type IqAnswer } from "./iq-answer.ts";
import { normalizeNumber, parseJid } from "./jid.ts";
import type { Network } from "./network.ts";
import type { Phone } from "./phone.ts";
import { bytes, child, children, element, type Stanza } from "./stanza.ts";

const PROTOCOLS = new Set(["contact", "devices", "lid"]);

export function answerDirectoryQuery(network: Network, stanza: Stanza): IqAnswer {
  const usync = child(stanza, "usync");
  const protocols = children(child(usync, "query")).map((node) => node.tag);
  if (usync === undefined || !protocols.every((protocol) => PROTOCOLS.has(protocol)))
    return undefined;
  const answers = new Map<string, Stanza>();
  for (const user of children(child(usync, "list"))) {
    const asked = subject(network, user);
    if (asked !== undefined && !answers.has(asked.jid))
      answers.set(asked.jid, describe(network, asked, protocols));
  }
  const { sid = "", mode = "query", context = "interactive" } = usync.attrs;
  return one("usync", { sid, mode, context, index: "0", last: "true" }, [
    element(
      "result",
      {},
      protocols.map((protocol) => element(protocol, {})),
    ),
    element("list", {}, [...answers.values()]),
  ]);
}

type Subject = { jid: string; phone: Phone };

/** Asked by address, or by a typed number inside `<contact>`. */
function subject(network: Network, user: Stanza): Subject | undefined {
  const jid = parseJid(user.attrs["jid"]);
  if (jid !== undefined) {
    const phone = network.directory.find(jid);
    return phone === undefined ? undefined : { phone, jid: phone.jid(jid.server) };
  }
  const number = normalizeNumber(bytes(child(user, "contact")).toString());
  if (number === undefined) return undefined;
  const phone = network.directory.phone(number);
  return { phone, jid: phone.jid("s.whatsapp.net") };
}

function describe(network: Network, { jid, phone }: Subject, protocols: string[]): Stanza {
  const registered = network.directory.isRegistered(phone);
  return element(
    "user",
    { jid },
    protocols.flatMap((protocol): Stanza[] => {
      if (protocol === "contact") return [element("contact", { type: registered ? "in" : "out" })];
      if (protocol === "devices")
        return [
          element("devices", {}, [element("device-list", {}, registered ? deviceList(phone) : [])]),
        ];
      return registered ? [element("lid", { val: phone.jid("lid") })] : [];
    }),
  );
}

function deviceList(phone: Phone): Stanza[] {
  return phone.deviceIds().map((device) => {
    return element(
      "device",
      device === 0
        ? { id: "0" }
        : { id: String(device), "key-index": String(phone.keyIndex(device)) },
    );
  });
}
