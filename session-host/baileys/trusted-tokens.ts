/**
 * Keeps the privacy tokens of contacts out of Baileys' transactions. Baileys 7.0.0-rc14 stores a token that it was
 * issued after a send from inside the transaction of that send, which has ended by then: the token is lost, asked
 * for again with every text, and never shown to WhatsApp, which answers some texts without one by error 463. Here
 * such rows go to the store at once. Touches no other type.
 */
import type { SignalDataSet, SignalKeyStoreWithTransaction } from "@whiskeysockets/baileys";
import type { KeyStore } from "../store.ts";
import { readRows, stageRows } from "./key-codec.ts";

const TYPE = "tctoken";

/** `keys` is the client's own view of the store, wrapped in its transactions. */
export function keepTokensOut(keys: SignalKeyStoreWithTransaction, store: KeyStore): void {
  const inner = { get: keys.get.bind(keys), set: keys.set.bind(keys) };
  keys.get = (type, ids) => (type === TYPE ? readRows(store, type, ids) : inner.get(type, ids));
  keys.set = async (data) => {
    const { [TYPE]: tokens, ...rest } = data;
    // Nobody waits for them: they leave with the next commit, or a moment later by themselves.
    if (tokens !== undefined) stageRows(store, { [TYPE]: tokens } satisfies SignalDataSet);
    if (Object.keys(rest).length > 0) await inner.set(rest);
  };
}
