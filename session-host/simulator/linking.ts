/**
 * Linking a client to a phone, by QR code or by pairing code, up to the restart the server asks for afterwards.
 * The phone's checks are real: keys in the QR must be the connection's, the client's signature must be right.
 */

import type { Connection, Registration } from "./connection.ts";
import { digestOfIdentity, signLinkedDevice, verifyLinkedDevice } from "./adv.ts";
import { generateKeyPair } from "./curve.ts";
import { SERVER } from "./jid.ts";
import { LinkedDevice } from "./linked-device.ts";
import type { Network } from "./network.ts";
import { openKeyBundle, unwrapEphemeral, wrapEphemeral } from "./pairing-code.ts";
import type { Phone } from "./phone.ts";
import { bytes, child, element, type Stanza } from "./stanza.ts";

export type LinkOutcome = { ok: true; device: number } | { ok: false; reason: LinkRefusal };

export type LinkRefusal =
  | "qr_unreadable"
  | "qr_expired"
  | "qr_keys_differ"
  | "no_code_requested"
  | "code_wrong"
  | "client_silent"
  | "client_signature_wrong"
  | "number_not_registered"
  | "too_many_devices";

const REFS = 6;
const ANSWER_TIMEOUT_MS = 20_000;
const LINKED_DEVICES_MAX = 90;

/** A connection without a login: offer QR references. */
export async function startLinking(network: Network, connection: Connection): Promise<void> {
  const refs = network.desk
    .issueRefs(connection, REFS)
    .map((ref) => element("ref", {}, Buffer.from(ref)));
  void connection.ask(element("pair-device", {}, refs), ANSWER_TIMEOUT_MS);
  network.events.emit("qr", "");
}

/** The phone scans what the client's screen shows. */
export async function scanQr(network: Network, phone: Phone, qr: string): Promise<LinkOutcome> {
  const [ref, noiseStatic, identity, advSecret] = (qr.split("#").at(-1) ?? "").split(",");
  if (!ref || !noiseStatic || !identity || !advSecret)
    return { ok: false, reason: "qr_unreadable" };
  const connection = network.desk.byRef(ref);
  const registration = connection?.registration;
  if (connection === undefined || registration === undefined)
    return { ok: false, reason: "qr_expired" };
  const keysMatch =
    registration.noiseStatic.toString("base64") === noiseStatic &&
    registration.identity.toString("base64") === identity;
  if (!keysMatch) return { ok: false, reason: "qr_keys_differ" };
  return link(network, phone, connection, registration, Buffer.from(advSecret, "base64"));
}

/** The client announced a code it shows to the user. Returns the answer to its iq. */
export function announceCode(network: Network, connection: Connection, request: Stanza): Stanza[] {
  const number = (request.attrs["jid"] ?? "").split("@")[0] ?? "";
  const wrapped = bytes(child(request, "link_code_pairing_wrapped_companion_ephemeral_pub"));
  const waiting = network.desk.announceCode(number, connection, wrapped);
  network.events.emit("code_requested", number);
  return [
    element("link_code_companion_reg", { stage: "companion_hello" }, [
      element("link_code_pairing_ref", {}, waiting.ref),
    ]),
  ];
}

/** The client's last word in a pairing by code; the phone that waits for it takes over. */
export function finishCode(network: Network, request: Stanza): void {
  const number = (request.attrs["jid"] ?? "").split("@")[0] ?? "";
  network.desk
    .byNumber(number)
    ?.finish?.(bytes(child(request, "link_code_pairing_wrapped_key_bundle")));
}

/** The user types a code into the phone. */
export async function enterCode(
  network: Network,
  phone: Phone,
  code: string,
): Promise<LinkOutcome> {
  const waiting = network.desk.byNumber(phone.number);
  const registration = waiting?.connection.registration;
  if (waiting === undefined || registration === undefined)
    return { ok: false, reason: "no_code_requested" };
  const companionEphemeral = await unwrapEphemeral(code, waiting.wrappedEphemeral);
  const ephemeral = generateKeyPair();
  const wrapped = await wrapEphemeral(code, ephemeral.publicKey, network.randomBytes);
  const finished = new Promise<Buffer | undefined>((resolve) => {
    waiting.finish = resolve;
    network.later(ANSWER_TIMEOUT_MS, () => resolve(undefined));
  });
  const identity = phone.primary.identity;
  waiting.connection.send(
    element(
      "notification",
      { id: network.newId(""), from: SERVER, type: "link_code_companion_reg", t: network.seconds },
      [
        element("link_code_companion_reg", { stage: "primary_hello" }, [
          element("link_code_pairing_wrapped_primary_ephemeral_pub", {}, wrapped),
          element("primary_identity_pub", {}, identity.publicKey),
          element("link_code_pairing_ref", {}, waiting.ref),
        ]),
      ],
    ),
  );
  const bundle = await finished;
  waiting.finish = undefined;
  if (bundle === undefined) return { ok: false, reason: "client_silent" };
  const companionIdentity = registration.identity;
  const advSecret = openKeyBundle({
    bundle,
    ephemeral,
    companionEphemeral,
    identity,
    companionIdentity,
  });
  if (advSecret === undefined) return { ok: false, reason: "code_wrong" };
  return link(network, phone, waiting.connection, registration, advSecret);
}

async function link(
  network: Network,
  phone: Phone,
  connection: Connection,
  registration: Registration,
  advSecret: Buffer,
): Promise<LinkOutcome> {
  if (!network.directory.isRegistered(phone)) return { ok: false, reason: "number_not_registered" };
  if (phone.linked.size >= LINKED_DEVICES_MAX) return { ok: false, reason: "too_many_devices" };
  const { device, keyIndex } = phone.nextLink();
  const account = phone.primary.identity;
  const signed = signLinkedDevice({
    account,
    companionIdentity: registration.identity,
    advSecret,
    rawId: network.randomBytes(4).readUInt32BE(0),
    keyIndex,
    timestampS: Math.floor(network.now() / 1000),
  });
  const answer = await connection.ask(
    element("pair-success", {}, [
      element("device-identity", {}, signed.envelope),
      element("platform", { name: "android" }),
      element("device", {
        jid: phone.jid("s.whatsapp.net", device),
        lid: phone.jid("lid", device),
      }),
    ]),
    ANSWER_TIMEOUT_MS,
  );
  if (answer === undefined) return { ok: false, reason: "client_silent" };
  const presented = bytes(child(child(answer, "pair-device-sign"), "device-identity"));
  const verdict = verifyLinkedDevice(
    presented,
    registration.identity,
    account.publicKey,
    signed.details,
  );
  if (verdict !== "right") {
    network.evidence.wrongSignature(`pair-device-sign ${verdict}`);
    connection.close();
    return { ok: false, reason: "client_signature_wrong" };
  }
  phone.linked.set(
    device,
    new LinkedDevice({
      ...registration,
      device,
      keyIndex,
      identityDigest: digestOfIdentity(presented),
    }),
  );
  network.onChange();
  network.events.emit("paired", phone.number, { device });
  connection.fail({ code: "515" }, []);
  return { ok: true, device };
}

/** The phone, or the client itself, ends the link. */
export function unlink(network: Network, phone: Phone, device: number): boolean {
  const linked = phone.linked.get(device);
  if (linked === undefined) return false;
  const connection = network.online(phone, linked);
  phone.linked.delete(device);
  network.onChange();
  network.events.emit("unlinked", phone.number, { device });
  connection?.fail({ code: "401" }, [element("conflict", { type: "device_removed" })]);
  return true;
}
