/** Queries about keys: stock, upload, digest, rotation, and other devices' bundles. */

import type { Login } from "./connection.ts";
import { verify, typed } from "./curve.ts";
import { one, type IqAnswer } from "./iq-answer.ts";
import { parseJid } from "./jid.ts";
import { bundleNodes, parsePreKey, parseSignedPreKey } from "./key-bundle.ts";
import type { Network } from "./network.ts";
import { takeBundle } from "./sealing.ts";
import { bigEndian, bytes, child, children, element, type Stanza } from "./stanza.ts";

export function answerKeyQuery(network: Network, login: Login, stanza: Stanza): IqAnswer {
  const first = children(stanza)[0]?.tag;
  if (stanza.attrs["type"] === "get") {
    if (first === "count") return one("count", { value: String(login.linked.stock) });
    if (first === "digest") return digest(login);
    if (first === "key") return bundles(network, children(child(stanza, "key")));
    return undefined;
  }
  if (first === "rotate") return rotate(network, login, stanza);
  return child(stanza, "list") === undefined ? undefined : upload(network, login, stanza);
}

function digest(login: Login): IqAnswer {
  const { linked } = login;
  if (linked.stock === 0) return { refuse: 404, text: "item-not-found" };
  return one("digest", {}, [
    element("registration", {}, bigEndian(linked.registrationId, 4)),
    element("type", {}, Buffer.from([5])),
    element("identity", {}, linked.identity),
    element("skey", {}, [element("id", {}, bigEndian(linked.signedPreKey.id, 3))]),
  ]);
}

function upload(network: Network, login: Login, stanza: Stanza): IqAnswer {
  const { phone, linked } = login;
  const keys = children(child(stanza, "list")).map(parsePreKey);
  const complete = keys.filter((key) => key !== undefined);
  const sameIdentity = bytes(child(stanza, "identity")).equals(linked.identity);
  if (complete.length !== keys.length || !sameIdentity)
    return { refuse: 406, text: "not-acceptable" };
  linked.addPreKeys(complete);
  network.evidence.preKeyUpload(phone.jid("s.whatsapp.net", linked.device), complete.length);
  network.events.emit("prekeys_uploaded", phone.number, {
    device: linked.device,
    count: complete.length,
  });
  network.onChange();
  return { content: undefined };
}

function rotate(network: Network, login: Login, stanza: Stanza): IqAnswer {
  const key = parseSignedPreKey(child(child(stanza, "rotate"), "skey"));
  if (key === undefined || !verify(login.linked.identity, typed(key.publicKey), key.signature)) {
    return { refuse: 406, text: "not-acceptable" };
  }
  login.linked.signedPreKey = key;
  network.onChange();
  return { content: undefined };
}

function bundles(network: Network, users: Stanza[]): IqAnswer {
  return one(
    "list",
    {},
    users.map((user) => bundleOf(network, user.attrs["jid"] ?? "")),
  );
}

function bundleOf(network: Network, address: string): Stanza {
  const jid = parseJid(address);
  const phone = network.directory.find(jid);
  const device = jid?.device ?? 0;
  const linked = phone?.linked.get(device);
  const bundle =
    phone !== undefined && linked !== undefined
      ? takeBundle(network, phone, linked)
      : phone?.simulated(device)?.bundle();
  if (phone === undefined || bundle === undefined || !network.directory.isRegistered(phone)) {
    return element("user", { jid: address }, [
      element("error", { code: "404", text: "item-not-found" }),
    ]);
  }
  network.onChange();
  return element("user", { jid: address, t: network.seconds }, [
    element("registration", {}, bigEndian(bundle.registrationId, 4)),
    ...bundleNodes(bundle),
  ]);
}
