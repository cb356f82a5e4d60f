/**
 * The fence between Signal keys and the wire, around Baileys' signal repository:
 * - a ciphertext goes no further than the gate before the wire (wire-gate.ts), where its frame asks the device for a
 *   commit of the advanced session, tagged with the message, and waits for it; so the next text need not
 * - a plaintext comes out only after the device has durably stored text and session, so that the receipt follows
 * When either cannot be had the socket is ended first and the caller waits for ever: a rejection would make Baileys
 * send a retry receipt or leave a recipient out. Inner calls always settle, because libsignal queues them
 * process-wide by address.
 *
 * Reads and writes of the repository bypass Baileys' transactions: a transaction would give a decryption and an
 * encryption of the same contact two views of one session, and its late commit would put an older one back. For the
 * same reason its calls take turns, over all connections of a store: libsignal queues them by address, and a contact
 * who writes from a LID and is written to at a number has two addresses for one session.
 */
import { DEFAULT_CONNECTION_CONFIG } from "@whiskeysockets/baileys";
import type {
  SignalDataSet,
  SignalKeyStoreWithTransaction,
  SignalRepositoryWithLIDStore,
  SocketConfig,
} from "@whiskeysockets/baileys";
import { inboundMessage } from "../../src/bridge/device-frames.ts";
import type { InboundMessage } from "../../src/bridge/device-frames.ts";
import { HostError } from "../log.ts";
import { StoreFailed } from "../store.ts";
import type { KeyStore } from "../store.ts";
import { readRows, stageRows } from "./key-codec.ts";
import { SendRefused, sendScope } from "./send-scope.ts";
import { isStoredRecord, withoutFailedTries } from "./tried-sessions.ts";

export interface FenceOptions {
  store: KeyStore;
  mayAct(): boolean;
  /** Ends the socket at once. */
  forbid(): void;
  /** The inbound messages in these decrypted bytes: mostly one, often none. */
  describe(ciphertext: Uint8Array, plaintext: Uint8Array): InboundMessage[];
}

type MakeRepository = SocketConfig["makeSignalRepository"];

export function fencedRepository(options: FenceOptions): MakeRepository {
  const { store } = options;
  return (auth, logger, pnToLid): SignalRepositoryWithLIDStore => {
    let isTrying = false;
    const transactional = auth.keys as SignalKeyStoreWithTransaction;
    const keys = repositoryKeys(store, transactional, () => isTrying);
    const inner = DEFAULT_CONNECTION_CONFIG.makeSignalRepository(
      { creds: auth.creds, keys },
      logger,
      pnToLid,
    );
    const thenDurable = async <T>(work: Promise<T>): Promise<T> => {
      const result = await work;
      // Inside a send the commit of the message itself carries these rows.
      if (sendScope.getStore() === undefined) await orNever(store.commit());
      return result;
    };
    /** While a text is tried on its writer's sessions. */
    const trying = async <T>(decrypt: () => Promise<T>): Promise<T> => {
      isTrying = true;
      try {
        return await decrypt();
      } finally {
        isTrying = false;
      }
    };
    const inTurn = <T>(work: () => Promise<T>): Promise<T> => store.turns.run(work);
    return {
      ...inner,
      encryptMessage: (request) =>
        encryptFenced(options, () => inTurn(() => inner.encryptMessage(request))),
      decryptMessage: (request) =>
        decryptFenced(options, request.ciphertext, () =>
          inTurn(() => {
            const decrypt = () => inner.decryptMessage(request);
            return request.type === "msg" ? trying(decrypt) : decrypt();
          }),
        ),
      injectE2ESession: (request) => thenDurable(inTurn(() => inner.injectE2ESession(request))),
      deleteSession: (jids) => thenDurable(inTurn(() => inner.deleteSession(jids))),
      migrateSession: (from, to) => thenDurable(inTurn(() => inner.migrateSession(from, to))),
      decryptGroupMessage: () => Promise.reject(new HostError("groups are not served")),
      encryptGroupMessage: () => Promise.reject(new HostError("groups are not served")),
    };
  };
}

function repositoryKeys(
  store: KeyStore,
  transactional: SignalKeyStoreWithTransaction,
  isTrying: () => boolean,
): SignalKeyStoreWithTransaction {
  return {
    get: (type, ids) => readRows(store, type, ids),
    set: async (data) =>
      stageRows(store, isTrying() ? await withoutSpoiledSessions(store, data) : data),
    isInTransaction: () => transactional.isInTransaction(),
    transaction: (work, key) => transactional.transaction(work, key),
  };
}

async function withoutSpoiledSessions(
  store: KeyStore,
  data: SignalDataSet,
): Promise<SignalDataSet> {
  const session: SignalDataSet["session"] = { ...data.session };
  const known = await readRows(store, "session", Object.keys(session));
  for (const [id, after] of Object.entries(session)) {
    const before: unknown = known[id];
    if (isStoredRecord(before) && isStoredRecord(after)) {
      session[id] = withoutFailedTries(before, after);
    }
  }
  return { ...data, session };
}

async function encryptFenced<T>(options: FenceOptions, encrypt: () => Promise<T>): Promise<T> {
  if (!options.mayAct()) return forbidden(options);
  const scope = sendScope.getStore();
  if (scope === undefined) {
    const sealed = await settle(options, encrypt());
    await orNever(options.store.commit());
    return options.mayAct() ? sealed : forbidden(options);
  }
  scope.decided ??= scope.verdict();
  if (scope.decided !== "go") throw new SendRefused(scope.decided);
  const sealed = await settle(options, encrypt());
  scope.isSealed = true;
  // What was asked for before knows nothing of this encryption.
  scope.durable = null;
  return options.mayAct() ? sealed : forbidden(options);
}

async function decryptFenced(
  options: FenceOptions,
  ciphertext: Uint8Array,
  decrypt: () => Promise<Uint8Array>,
): Promise<Uint8Array> {
  if (!options.mayAct()) return forbidden(options);
  const plaintext = await settle(options, decrypt());
  const inbound = readable(options, options.describe(ciphertext, plaintext));
  // One a frame, whose size is measured for one.
  const portions = inbound.length > 1 ? inbound.map((one) => [one]) : [inbound];
  for (const portion of portions) await orNever(options.store.commit({ inbound: portion }));
  return options.mayAct() ? plaintext : forbidden(options);
}

/**
 * A text whose frame the device could not read would be delivered again for ever, and nothing else with it: its keys
 * are kept, itself is not.
 */
function readable(options: FenceOptions, inbound: InboundMessage[]): InboundMessage[] {
  return inbound.flatMap((one) => {
    const parsed = inboundMessage.safeParse(one);
    if (parsed.success) return [parsed.data];
    options.store.warn("text_unreadable");
    return [];
  });
}

/** A failure of the library passes; a failure of the store has ended the socket and is nobody's answer. */
async function settle<T>(options: FenceOptions, work: Promise<T>): Promise<T> {
  try {
    const result = await work;
    return options.store.failure === null ? result : await never<T>();
  } catch (error) {
    if (options.store.failure !== null) return never<T>();
    throw error;
  }
}

async function orNever(commit: Promise<void>): Promise<void> {
  try {
    await commit;
  } catch (error) {
    if (error instanceof StoreFailed) await never();
    throw error;
  }
}

function forbidden<T>(options: FenceOptions): Promise<T> {
  options.forbid();
  return never<T>();
}

function never<T>(): Promise<T> {
  return new Promise<T>(() => undefined);
}
