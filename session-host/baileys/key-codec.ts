/**
 * Between Baileys' values and the JSON text of the store. The only place that knows which types hold bytes and
 * which must be revived as protobuf. No I/O.
 */
import { BufferJSON, proto } from "@whiskeysockets/baileys";
import type {
  AuthenticationCreds,
  SignalDataSet,
  SignalDataTypeMap,
  SignalKeyStore,
} from "@whiskeysockets/baileys";
import { keyType } from "../../src/bridge/wire.ts";
import type { KeyType } from "../../src/bridge/wire.ts";
import type { KeyStore } from "../store.ts";
import { boundSession } from "./session-size.ts";

/** Sessions are plain JSON already (base64 inside) and by far the most frequent: no reviver for them. */
function encodeValue(type: KeyType, value: unknown): string {
  return type === "session" ? JSON.stringify(value) : JSON.stringify(value, BufferJSON.replacer);
}

function decodeValue(type: KeyType, json: string): unknown {
  if (type === "session") return JSON.parse(json);
  const value: unknown = JSON.parse(json, BufferJSON.reviver);
  if (type !== "app-state-sync-key" || typeof value !== "object" || value === null) return value;
  return proto.Message.AppStateSyncKeyData.fromObject(value);
}

/** Such a row would not fit the welcome frame; without it the next sync starts from a snapshot, which costs little. */
const APP_STATE_CHARS_MAX = 100_000;

/** The list of contacts with a token is one row, written with each new contact; past this it starts over. */
const TOKEN_LIST_CHARS_MAX = 20_000;

/** Larger ones would not fit a row of the bridge; nothing but sessions comes near it by itself. */
const VALUE_CHARS_MAX = 250_000;

const CHARS_MAX: Partial<Record<KeyType, number>> = {
  "app-state-sync-version": APP_STATE_CHARS_MAX,
  tctoken: TOKEN_LIST_CHARS_MAX,
};

/** Puts rows into the store without waiting; the next commit carries them. */
export function stageRows(store: KeyStore, data: SignalDataSet): void {
  for (const [name, rows] of Object.entries(data)) {
    const type = keyType.parse(name);
    for (const [id, value] of Object.entries(rows)) {
      const json = value === null || value === undefined ? null : encodeValue(type, value);
      store.stage(type, id, json === null ? null : bounded(store, type, json));
    }
  }
}

/** Null: too large to be kept, so that what it belongs to starts over. */
function bounded(store: KeyStore, type: KeyType, json: string): string | null {
  if (type === "session") {
    const bound = boundSession(json);
    if (bound.trimmed) store.warn(bound.json === null ? "session_dropped" : "session_trimmed");
    return bound.json;
  }
  if (json.length <= (CHARS_MAX[type] ?? VALUE_CHARS_MAX)) return json;
  // Only what it names is then no longer cleared away when it expires, and an expired token is never used.
  if (type === "tctoken") return null;
  store.warn("row_dropped");
  return null;
}

export async function readRows<T extends keyof SignalDataTypeMap>(
  store: KeyStore,
  type: T,
  ids: string[],
): Promise<{ [id: string]: SignalDataTypeMap[T] }> {
  const found: { [id: string]: SignalDataTypeMap[T] } = {};
  for (const [id, json] of await store.get(type, ids)) {
    // The store gives back what was staged under this type, so the value has its type.
    if (json !== null) found[id] = decodeValue(type, json) as SignalDataTypeMap[T];
  }
  return found;
}

/** The store as Baileys wants it: a set resolves only when it is durable, a key is given out only to who may act. */
export function signalKeyStore(store: KeyStore, mayUse: () => Promise<void>): SignalKeyStore {
  return {
    get: async (type, ids) => {
      const rows = await readRows(store, type, ids);
      await mayUse();
      return rows;
    },
    set: async (data) => {
      stageRows(store, data);
      await store.commit();
    },
  };
}

export function stageCreds(store: KeyStore, creds: AuthenticationCreds): void {
  store.stage("creds", "creds", JSON.stringify(creds, BufferJSON.replacer));
}

const PRE_KEY_PROBE = 5;
const PRE_KEY_CHUNK = 1_000;

/** Null: proved absent. */
export async function readCreds(store: KeyStore): Promise<AuthenticationCreds | null> {
  const json = (await store.get("creds", ["creds"])).get("creds") ?? null;
  if (json === null) return null;
  const creds = JSON.parse(json, BufferJSON.reviver) as AuthenticationCreds;
  const next = await firstFreePreKeyId(store, creds.nextPreKeyId);
  if (next > creds.nextPreKeyId) {
    creds.nextPreKeyId = next;
    creds.firstUnuploadedPreKeyId = next;
    stageCreds(store, creds);
    await store.commit();
  }
  return creds;
}

/** Pre-keys beyond the counter would be overwritten by the next upload: step over them. */
async function firstFreePreKeyId(store: KeyStore, from: number): Promise<number> {
  let free = from;
  let chunk = PRE_KEY_PROBE;
  for (;;) {
    const start = free;
    const ids = Array.from({ length: chunk }, (_, index) => String(start + index));
    const stored = await store.get("pre-key", ids);
    const taken = ids.filter((id) => stored.get(id) !== null).map(Number);
    if (taken.length === 0) return free;
    free = Math.max(...taken) + 1;
    chunk = PRE_KEY_CHUNK;
  }
}
