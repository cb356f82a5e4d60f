/**
 * From the finished handshake to a live connection: who may log in, what a new login does to an old one, the backlog,
 * and the phone's first history message.
 */

import { deflateSync } from "node:zlib";
import { proto } from "@whiskeysockets/baileys";
import type { Connection } from "./connection.ts";
import { typed, verify } from "./curve.ts";
import { sealFor } from "./sealing.ts";
import { SERVER } from "./jid.ts";
import { startLinking } from "./linking.ts";
import type { Network } from "./network.ts";
import { element } from "./stanza.ts";

export async function authenticate(
  network: Network,
  connection: Connection,
  payload: proto.IClientPayload,
  clientStatic: Buffer,
): Promise<void> {
  if (payload.devicePairingData) {
    const registration = readRegistration(payload.devicePairingData, clientStatic);
    if (registration === undefined)
      return refuse(network, connection, "", 0, 400, "registration keys are wrong");
    connection.registration = registration;
    return startLinking(network, connection);
  }
  return logIn(
    network,
    connection,
    String(payload.username ?? ""),
    payload.device ?? 0,
    clientStatic,
  );
}

function readRegistration(
  data: proto.ClientPayload.IDevicePairingRegistrationData,
  noiseStatic: Buffer,
): Connection["registration"] {
  const identity = Buffer.from(data.eIdent ?? []);
  const publicKey = Buffer.from(data.eSkeyVal ?? []);
  const signature = Buffer.from(data.eSkeySig ?? []);
  const registrationId = Buffer.from(data.eRegid ?? []);
  const keyId = Buffer.from(data.eSkeyId ?? []);
  if (registrationId.length !== 4 || keyId.length !== 3 || publicKey.length !== 32)
    return undefined;
  if (!verify(identity, typed(publicKey), signature)) return undefined;
  const signedPreKey = { id: keyId.readUIntBE(0, 3), publicKey, signature };
  return { noiseStatic, identity, registrationId: registrationId.readUInt32BE(0), signedPreKey };
}

async function logIn(
  network: Network,
  connection: Connection,
  number: string,
  device: number,
  clientStatic: Buffer,
): Promise<void> {
  connection.record.number = number;
  connection.record.device = device;
  for (const fault of network.faults.takeLoginFaults(number)) {
    if (fault.kind === "failure")
      return refuse(network, connection, number, device, fault.reason, `failure ${fault.reason}`);
    await new Promise<void>((resolve) => network.later(fault.ms, resolve));
    if (connection.ended)
      return network.evidence.login({ atMs: network.now(), number, device, outcome: "gave up" });
  }
  const phone = network.directory.known(number);
  const linked = phone?.linked.get(device);
  if (phone === undefined || linked === undefined)
    return refuse(network, connection, number, device, 401, "not linked");
  if (!linked.noiseStatic.equals(clientStatic))
    return refuse(network, connection, number, device, 401, "other noise key");
  connection.login = { phone, linked };
  network.evidence.login({ atMs: network.now(), number, device, outcome: "success" });
  network.enter(connection, phone, linked)?.fail({}, [element("conflict", { type: "replaced" })]);
  connection.send(
    element("success", {
      t: network.seconds,
      lid: phone.jid("lid", device),
      props: "27",
      location: "sim",
      display_name: phone.name,
    }),
  );
  network.events.emit("login", number, { device });
}

function refuse(
  network: Network,
  connection: Connection,
  number: string,
  device: number,
  reason: number,
  outcome: string,
): void {
  network.evidence.login({ atMs: network.now(), number, device, outcome });
  network.events.emit("login_refused", number, { device, reason });
  connection.record.refusedWith = reason;
  connection.send(element("failure", { reason: String(reason), location: "sim" }));
  connection.close();
}

/** The client said it is ready: announce the backlog, or finish at once when there is none. */
export function becomeActive(network: Network, connection: Connection): void {
  const count = connection.login?.linked.backlog.size ?? 0;
  if (count === 0) return sendBacklog(network, connection);
  const counts = {
    count: String(count),
    message: String(count),
    notification: "0",
    receipt: "0",
    appdata: "0",
  };
  connection.send(element("ib", { from: SERVER }, [element("offline_preview", counts)]));
}

export function sendBacklog(network: Network, connection: Connection): void {
  const { login } = connection;
  if (login === undefined || connection.live) return;
  connection.live = true;
  const backlog = login.linked.backlog.all();
  for (const [index, stanza] of backlog.entries()) {
    connection.send({ ...stanza, attrs: { ...stanza.attrs, offline: String(index) } });
    if (stanza.tag === "message")
      network.evidence.inboundSent(
        stanza.attrs["id"] ?? "",
        login.phone.jid("s.whatsapp.net", login.linked.device),
      );
  }
  connection.send(
    element("ib", { from: SERVER }, [
      element("dirty", { type: "account_sync", timestamp: network.seconds }),
    ]),
  );
  connection.send(
    element("ib", { from: SERVER }, [element("offline", { count: String(backlog.length) })]),
  );
  connection.record.onlineMs = network.now();
  network.events.emit("online", login.phone.number, {
    device: login.linked.device,
    backlog: backlog.length,
  });
  if (!login.linked.historySent && login.linked.stock > 0) void sendHistory(network, connection);
}

/** The phone's first message to a new companion: its name, its chats' LIDs, an empty history. */
async function sendHistory(network: Network, connection: Connection): Promise<void> {
  const { login } = connection;
  if (login === undefined) return;
  const { phone, linked } = login;
  linked.historySent = true;
  const partners = phone.screen.chats().map((chat) => network.directory.phone(chat.with));
  const history = proto.HistorySync.encode({
    syncType: proto.HistorySync.HistorySyncType.INITIAL_BOOTSTRAP,
    conversations: [],
    chunkOrder: 1,
    progress: 100,
    pushnames: [{ id: phone.jid("s.whatsapp.net"), pushname: phone.name }],
    phoneNumberToLidMappings: [phone, ...partners].map((one) => ({
      pnJid: one.jid("s.whatsapp.net"),
      lidJid: one.jid("lid"),
    })),
  }).finish();
  const message = proto.Message.encode({
    protocolMessage: {
      type: proto.Message.ProtocolMessage.Type.HISTORY_SYNC_NOTIFICATION,
      historySyncNotification: {
        syncType: proto.Message.HistorySyncType.INITIAL_BOOTSTRAP,
        chunkOrder: 1,
        progress: 100,
        initialHistBootstrapInlinePayload: deflateSync(history),
      },
    },
  }).finish();
  const enc = await sealFor(network, { phone, device: 0 }, { phone, linked }, message);
  const attrs = {
    id: network.newId("3A"),
    from: phone.jid("s.whatsapp.net"),
    type: "text",
    category: "peer",
    t: network.seconds,
    notify: phone.name,
  };
  network.deliver(phone, linked, element("message", attrs, [enc]));
}
