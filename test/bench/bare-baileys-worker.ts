/**
 * Baileys with nothing around it, a process of its own: one linked client of the simulator, keys in memory, the
 * options of the session host. What sending costs at best on this machine. Takes texts by POST; keeps nothing,
 * repeats nothing.
 */
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { text as bodyOf } from "node:stream/consumers";
import { Browsers, initAuthCreds, makeWASocket } from "@whiskeysockets/baileys";
import type { SignalDataSet, SignalKeyStore, WASocket } from "@whiskeysockets/baileys";
import { quietLogger } from "../../session-host/baileys/quiet-logger.ts";
import { silenceConsole } from "../../session-host/log.ts";
import { SimulatedPhones } from "../../session-host/local/simulated-phone.ts";
import { drawWhatsAppId, systemRandomBytes } from "../../src/domain/id.ts";
import { bareSettings, bareTexts } from "./bare-settings.ts";
import type { BareSettings } from "./bare-settings.ts";

/** Pairs by QR and ends when the client has its backlog. */
function pairedSocket({ whatsAppUrl, simulatorUrl, phone }: BareSettings): Promise<WASocket> {
  const auth = { creds: initAuthCreds(), keys: memoryKeys() };
  const phones = new SimulatedPhones(simulatorUrl);
  return new Promise((resolve) => {
    const open = (): void => {
      const socket = makeWASocket({
        auth,
        waWebSocketUrl: whatsAppUrl,
        logger: quietLogger,
        browser: Browsers.ubuntu("Chrome"),
        emitOwnEvents: false,
        syncFullHistory: false,
        markOnlineOnConnect: false,
        generateHighQualityLinkPreview: false,
        shouldSyncHistoryMessage: () => false,
      });
      socket.ev.on("connection.update", (update) => {
        if (update.qr !== undefined) void phones.scan(phone, update.qr);
        // After a scan the server asks for a new connection.
        if (update.connection === "close") open();
        if (update.receivedPendingNotifications) resolve(socket);
      });
    };
    open();
  });
}

function memoryKeys(): SignalKeyStore {
  const rows = new Map<string, unknown>();
  return {
    get: (type, ids) => {
      const found: Record<string, never> = {};
      for (const id of ids) {
        // What was stored under this type is of this type.
        const value = rows.get(`${type}|${id}`) as never;
        if (value !== undefined) found[id] = value;
      }
      return found;
    },
    set: (data: SignalDataSet) => {
      for (const [type, entries] of Object.entries(data)) {
        for (const [id, value] of Object.entries(entries)) rows.set(`${type}|${id}`, value);
      }
    },
  };
}

silenceConsole();
const socket = await pairedSocket(bareSettings.parse(JSON.parse(process.env["BARE"] ?? "null")));

/** All at once; answers when the last one was written to the socket. */
async function sendAll(body: string): Promise<void> {
  await Promise.all(
    bareTexts
      .parse(JSON.parse(body))
      .map(({ to, text }) =>
        socket.sendMessage(
          `${to}@s.whatsapp.net`,
          { text, linkPreview: null },
          { messageId: drawWhatsAppId(systemRandomBytes) },
        ),
      ),
  );
}

const server = createServer((request, response) => {
  void bodyOf(request)
    .then(sendAll)
    .then(() => response.end());
});
server.listen(0, "127.0.0.1", () => {
  process.send?.({ port: (server.address() as AddressInfo).port });
});
