/**
 * A real Baileys client with its keys in memory, for tests of the simulator. Records what the client reports and
 * waits for it; reconnects only when the server asks for a restart after pairing.
 */

import {
  BufferJSON,
  initAuthCreds,
  makeWASocket,
  proto,
  type AuthenticationCreds,
  type PossiblyExtendedCacheStore,
  type SignalDataSet,
  type SignalDataTypeMap,
  type SignalKeyStore,
  type UserFacingSocketConfig,
  type WASocket,
} from "@whiskeysockets/baileys";
import pino from "pino";

export type ClientEvent =
  | { kind: "qr"; qr: string }
  | { kind: "open" }
  | { kind: "synced" }
  | { kind: "closed"; code: number | undefined; type: string | undefined }
  | { kind: "status"; id: string; status: number; chat: string; code: string | undefined }
  | {
      kind: "text";
      id: string;
      text: string;
      chat: string;
      alt: string | undefined;
      own: boolean;
      delivery: string;
    };

type EventOf<K extends ClientEvent["kind"]> = Extract<ClientEvent, { kind: K }>;

const WAIT_MS = 20_000;

export class SimulatorClient {
  creds: AuthenticationCreds = initAuthCreds();
  sent = new Map<string, string>();
  events: ClientEvent[] = [];
  /** Known devices of contacts; with them the client does not ask, and so does not renew its sessions. */
  devices = new Map<string, unknown>();
  readonly #wsUrl: string;
  readonly #rows = new Map<string, unknown>();
  readonly #listeners = new Set<() => void>();
  #socket: WASocket | undefined;

  constructor(wsUrl: string) {
    this.#wsUrl = wsUrl;
  }

  get socket(): WASocket {
    if (this.#socket === undefined) throw new Error("not connected");
    return this.#socket;
  }

  /** Another process with the same keys. */
  clone(): SimulatorClient {
    const copy = new SimulatorClient(this.#wsUrl);
    copy.creds = JSON.parse(
      JSON.stringify(this.creds, BufferJSON.replacer),
      BufferJSON.reviver,
    ) as AuthenticationCreds;
    for (const [key, value] of this.#rows) copy.#rows.set(key, value);
    copy.sent = new Map(this.sent);
    copy.devices = new Map(this.devices);
    return copy;
  }

  at(wsUrl: string): SimulatorClient {
    const moved = new SimulatorClient(wsUrl);
    moved.creds = this.creds;
    for (const [key, value] of this.#rows) moved.#rows.set(key, value);
    return moved;
  }

  connect(options: Partial<UserFacingSocketConfig> = {}): void {
    const socket = makeWASocket({
      auth: { creds: this.creds, keys: this.#keys() },
      waWebSocketUrl: this.#wsUrl,
      logger: pino({ level: "silent" }),
      emitOwnEvents: false,
      syncFullHistory: false,
      markOnlineOnConnect: false,
      retryRequestDelayMs: 1,
      userDevicesCache: deviceCache(this.devices),
      getMessage: async ({ id }) => {
        const text = this.sent.get(id ?? "");
        return text === undefined ? undefined : { conversation: text };
      },
      ...options,
    });
    this.#socket = socket;
    socket.ev.on("creds.update", (update) => {
      Object.assign(this.creds, update);
      if ((update.accountSyncCounter ?? 0) > 0) this.#record({ kind: "synced" });
    });
    socket.ev.on("connection.update", ({ connection, lastDisconnect, qr }) => {
      if (qr !== undefined) this.#record({ kind: "qr", qr });
      if (connection === "open") this.#record({ kind: "open" });
      if (connection !== "close") return;
      const error = lastDisconnect?.error as
        | { output?: { statusCode?: number }; data?: { attrs?: Record<string, string> } }
        | undefined;
      const code = error?.output?.statusCode;
      this.#record({ kind: "closed", code, type: error?.data?.attrs?.["type"] });
      if (code === 515) this.connect(options);
    });
    socket.ev.on("messages.update", (updates) => {
      for (const { key, update } of updates) {
        const code = update.messageStubParameters?.[0] ?? undefined;
        this.#record({
          kind: "status",
          id: key.id ?? "",
          status: update.status ?? -1,
          chat: key.remoteJid ?? "",
          code,
        });
      }
    });
    socket.ev.on("messages.upsert", ({ messages, type }) => {
      for (const { key, message } of messages) {
        const text = message?.conversation ?? message?.extendedTextMessage?.text ?? undefined;
        if (text === undefined) continue;
        const { remoteJid, remoteJidAlt, fromMe, id } = key;
        this.#record({
          kind: "text",
          id: id ?? "",
          text,
          chat: remoteJid ?? "",
          alt: remoteJidAlt ?? undefined,
          own: fromMe === true,
          delivery: type,
        });
      }
    });
  }

  /** The first event of a kind, past or to come, that fits. Events before the last `forget()` do not count. */
  async until<K extends ClientEvent["kind"]>(
    kind: K,
    fits: (event: EventOf<K>) => boolean = () => true,
  ): Promise<EventOf<K>> {
    const find = (): EventOf<K> | undefined =>
      this.events.find(
        (event): event is EventOf<K> => event.kind === kind && fits(event as EventOf<K>),
      );
    return new Promise((resolve, reject) => {
      const check = (): void => {
        const found = find();
        if (found === undefined) return;
        clearTimeout(timer);
        this.#listeners.delete(check);
        resolve(found);
      };
      const timer = setTimeout(
        () => reject(new Error(`no ${kind}; saw ${JSON.stringify(this.events)}`)),
        WAIT_MS,
      );
      this.#listeners.add(check);
      check();
    });
  }

  forget(): void {
    this.events = [];
  }

  async send(number: string, text: string, id?: string): Promise<string> {
    const chosen =
      id ?? `3EB0${crypto.randomUUID().replaceAll("-", "").slice(0, 18).toUpperCase()}`;
    this.sent.set(chosen, text);
    await this.socket.sendMessage(`${number}@s.whatsapp.net`, { text }, { messageId: chosen });
    return chosen;
  }

  async end(): Promise<void> {
    await this.#socket?.end(undefined);
  }

  #record(event: ClientEvent): void {
    this.events.push(event);
    for (const listener of this.#listeners) listener();
  }

  #keys(): SignalKeyStore {
    return {
      get: async <T extends keyof SignalDataTypeMap>(type: T, ids: string[]) => {
        const found: Record<string, SignalDataTypeMap[T]> = {};
        for (const id of ids) {
          const value = this.#rows.get(`${type} ${id}`);
          if (value === undefined) continue;
          const revived =
            type === "app-state-sync-key"
              ? proto.Message.AppStateSyncKeyData.fromObject(value as object)
              : value;
          found[id] = revived as SignalDataTypeMap[T];
        }
        return found;
      },
      set: async (data: SignalDataSet) => {
        for (const [type, rows] of Object.entries(data)) {
          for (const [id, value] of Object.entries(rows ?? {})) {
            if (value === null || value === undefined) this.#rows.delete(`${type} ${id}`);
            else this.#rows.set(`${type} ${id}`, structuredClone(value));
          }
        }
      },
    };
  }
}

function deviceCache(rows: Map<string, unknown>): PossiblyExtendedCacheStore {
  return {
    // The caller names the type of what it stored itself.
    get: (key) => rows.get(key) as never,
    set: async (key, value) => void rows.set(key, value),
    del: async (key) => void rows.delete(key),
    flushAll: async () => rows.clear(),
    mget: async <T>(keys: string[]) =>
      Object.fromEntries(keys.map((key) => [key, rows.get(key) as T | undefined])),
    mset: async (entries) => {
      for (const { key, value } of entries) rows.set(key, value);
    },
    mdel: async (keys) => {
      for (const key of keys) rows.delete(key);
    },
  };
}
