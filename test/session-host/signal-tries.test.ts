/**
 * A text that comes late is of a session that has been replaced. Finding that out must not spoil the new one: what goes
 * out next is read all the same.
 */
import { randomBytes } from "node:crypto";
import { addTransactionCapability, initAuthCreds } from "@whiskeysockets/baileys";
import type { SignalRepositoryWithLIDStore } from "@whiskeysockets/baileys";
import { expect, test } from "vitest";
import { ok } from "../../src/domain/result.ts";
import { fencedRepository } from "../../session-host/baileys/signal-fence.ts";
import { signalKeyStore } from "../../session-host/baileys/key-codec.ts";
import { quietLogger } from "../../session-host/baileys/quiet-logger.ts";
import { withoutFailedTries } from "../../session-host/baileys/tried-sessions.ts";
import { systemClock } from "../../session-host/clock.ts";
import { DeviceSealer } from "../../session-host/sealing.ts";
import { KeyStore } from "../../session-host/store.ts";
import { silenceConsole } from "../../session-host/log.ts";
import { typed } from "../../session-host/simulator/curve.ts";
import { SignalDevice } from "../../session-host/simulator/signal-device.ts";

const CONTACT = "777@lid";
const US = { lid: "888", device: 1 };

function ourSide(): SignalRepositoryWithLIDStore {
  silenceConsole();
  const store = new KeyStore({
    link: { read: async () => ok([]), commit: async () => ok(null) },
    sealer: new DeviceSealer([{ id: "k1", key: randomBytes(32) }], "a".repeat(32), 1),
    clock: systemClock,
    onFailure: () => undefined,
    onRollback: () => undefined,
    onWarning: () => undefined,
    cachedRowsMax: 100,
  });
  const options = { store, mayAct: () => true, forbid: () => undefined, describe: () => [] };
  const keys = addTransactionCapability(
    signalKeyStore(store, async () => undefined),
    quietLogger,
    { maxCommitRetries: 1, delayBetweenTriesMs: 1 },
  );
  return fencedRepository(options)({ creds: initAuthCreds(), keys }, quietLogger);
}

async function openSession(us: SignalRepositoryWithLIDStore, contact: SignalDevice): Promise<void> {
  const { registrationId, identity, signedPreKey, preKey } = contact.bundle();
  if (preKey === undefined) throw new Error("a contact has one-time keys");
  await us.injectE2ESession({
    jid: CONTACT,
    session: {
      registrationId,
      identityKey: typed(identity),
      signedPreKey: {
        keyId: signedPreKey.id,
        publicKey: typed(signedPreKey.publicKey),
        signature: signedPreKey.signature,
      },
      preKey: { keyId: preKey.id, publicKey: typed(preKey.publicKey) },
    },
  });
}

/** What the contact reads of a text of ours. */
async function written(us: SignalRepositoryWithLIDStore, contact: SignalDevice, text: string) {
  const data = Buffer.concat([Buffer.from(text), Buffer.from([1])]);
  const { type, ciphertext } = await us.encryptMessage({ jid: CONTACT, data });
  return (await contact.decrypt(US, type, ciphertext)).toString();
}

async function read(
  us: SignalRepositoryWithLIDStore,
  sealed: Awaited<ReturnType<SignalDevice["encrypt"]>>,
) {
  const padded = await us.decryptMessage({ jid: CONTACT, ...sealed });
  return Buffer.from(padded.subarray(0, -(padded.at(-1) ?? 0))).toString();
}

test("texts of the former session, read late, leave the new one as it is", async () => {
  const us = ourSide();
  const contact = new SignalDevice("contact", randomBytes);
  await openSession(us, contact);
  expect(await written(us, contact, "satu")).toBe("satu");
  const early = await contact.encrypt(US, Buffer.from("lama"));
  const other = await contact.encrypt(US, Buffer.from("lama juga"));
  // As after each new connection to WhatsApp.
  await openSession(us, contact);
  expect(await written(us, contact, "dua")).toBe("dua");
  expect(await read(us, early)).toBe("lama");
  expect(await written(us, contact, "tiga")).toBe("tiga");
  expect(await read(us, other)).toBe("lama juga");
  expect(await written(us, contact, "empat")).toBe("empat");
  expect(await read(us, await contact.encrypt(US, Buffer.from("baru")))).toBe("baru");
  expect(await written(us, contact, "lima")).toBe("lima");
});

test("of the sessions that changed the one that was used keeps its change, or the last one tried", () => {
  const record = (sessions: Record<string, [used: number, state: string]>) => ({
    _sessions: Object.fromEntries(
      Object.entries(sessions).map(([key, [used, state]]) => [key, { indexInfo: { used }, state }]),
    ),
  });
  const before = record({ old: [1, "a"], middle: [2, "b"], newest: [3, "c"] });
  const tried = record({ old: [9, "a2"], middle: [2, "b2"], newest: [3, "c2"] });
  expect(withoutFailedTries(before, tried)).toEqual(
    record({ old: [9, "a2"], middle: [2, "b"], newest: [3, "c"] }),
  );
  const atOnce = record({ old: [1, "a2"], middle: [2, "b2"], newest: [3, "c2"] });
  expect(withoutFailedTries(before, atOnce)).toEqual(
    record({ old: [1, "a2"], middle: [2, "b"], newest: [3, "c"] }),
  );
  const first = record({ old: [1, "a"], middle: [2, "b"], newest: [9, "c2"] });
  expect(withoutFailedTries(before, first)).toBe(first);
});
