/**
 * The WhatsApp port implemented with Baileys, unmodified. Must be imported after `console` was silenced, because
 * libsignal prints sessions with private keys. Only this folder imports Baileys.
 */
import { DEFAULT_CONNECTION_CONFIG, initAuthCreds, jidDecode } from "@whiskeysockets/baileys";
import type { AuthenticationCreds, WAVersion } from "@whiskeysockets/baileys";
import type { Clock } from "../clock.ts";
import type { Credentials, WhatsApp } from "../whatsapp.ts";
import { BaileysConnection } from "./connection.ts";
import { readCreds } from "./key-codec.ts";
import { BaileysMemory } from "./memory.ts";

export interface BaileysOptions {
  clock: Clock;
  /** Null: WhatsApp itself. */
  url: URL | null;
  version: WAVersion | null;
  /** Life of every QR; null for WhatsApp's own 60 s and then 20 s. */
  qrLifeMs: number | null;
}

/** The two names of one thing: the port does not know Baileys' type. */
function asCredentials(creds: AuthenticationCreds): Credentials {
  return creds as unknown as Credentials;
}

export function asBaileysCreds(credentials: Credentials): AuthenticationCreds {
  return credentials as unknown as AuthenticationCreds;
}

export function baileysWhatsApp(options: BaileysOptions): WhatsApp {
  const version = options.version ?? DEFAULT_CONNECTION_CONFIG.version;
  return {
    version: version.join("."),
    freshCredentials: () => asCredentials(initAuthCreds()),
    loadCredentials: async (store) => {
      const creds = await readCreds(store);
      return creds === null ? null : asCredentials(creds);
    },
    isLinked: (credentials) => asBaileysCreds(credentials).account !== undefined,
    phoneOf: (credentials) => jidDecode(asBaileysCreds(credentials).me?.id)?.user ?? null,
    newMemory: () => new BaileysMemory(options.clock),
    connect: (request) => {
      if (!(request.memory instanceof BaileysMemory))
        throw new Error("invariant broken: foreign memory");
      return new BaileysConnection(request, request.memory, asBaileysCreds(request.credentials), {
        url: options.url,
        version,
        qrLifeMs: options.qrLifeMs,
      });
    },
  };
}
