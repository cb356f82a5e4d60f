/**
 * The phone's and the companion's signatures over a linked device ("ADV"): what the phone signs when it links a
 * device, and whether the companion's answer is right. Signatures are really verified; the client does not do so.
 */

import { createHash, createHmac } from "node:crypto";
import { proto } from "@whiskeysockets/baileys";
import { sign, untyped, verify, type KeyPair } from "./curve.ts";

const ACCOUNT_PREFIX = Buffer.from([6, 0]);
const DEVICE_PREFIX = Buffer.from([6, 1]);

export type SignedIdentity = { details: Uint8Array; envelope: Uint8Array };

export type LinkTerms = {
  account: KeyPair;
  companionIdentity: Uint8Array;
  advSecret: Buffer;
  rawId: number;
  keyIndex: number;
  timestampS: number;
};

/** What travels inside `<pair-success>`: the account-signed identity under the secret of the QR code. */
export function signLinkedDevice(terms: LinkTerms): SignedIdentity {
  const details = proto.ADVDeviceIdentity.encode({
    rawId: terms.rawId,
    timestamp: terms.timestampS,
    keyIndex: terms.keyIndex,
    accountType: 0,
    deviceType: 0,
  }).finish();
  const accountSignature = sign(
    terms.account.privateKey,
    Buffer.concat([ACCOUNT_PREFIX, details, terms.companionIdentity]),
  );
  const signed = proto.ADVSignedDeviceIdentity.encode({
    details,
    accountSignatureKey: terms.account.publicKey,
    accountSignature,
  }).finish();
  const hmac = createHmac("sha256", terms.advSecret).update(signed).digest();
  return {
    details,
    envelope: proto.ADVSignedDeviceIdentityHMAC.encode({ details: signed, hmac }).finish(),
  };
}

export type AdvVerdict =
  | "right"
  | "details_differ"
  | "account_signature_wrong"
  | "device_signature_wrong";

/**
 * Judges a device identity as a companion presents it. `accountPublicKey` is the key we expect; the copy inside the
 * identity, if any, is not trusted.
 */
export function verifyLinkedDevice(
  identity: Uint8Array,
  companionIdentity: Uint8Array,
  accountPublicKey: Uint8Array,
  expectedDetails: Uint8Array,
): AdvVerdict {
  const { details, accountSignature, deviceSignature } =
    proto.ADVSignedDeviceIdentity.decode(identity);
  if (!details || !accountSignature || !deviceSignature) return "details_differ";
  if (!Buffer.from(details).equals(expectedDetails)) return "details_differ";
  const companion = untyped(companionIdentity);
  if (
    !verify(accountPublicKey, Buffer.concat([ACCOUNT_PREFIX, details, companion]), accountSignature)
  )
    return "account_signature_wrong";
  const deviceMessage = Buffer.concat([DEVICE_PREFIX, details, companion, accountPublicKey]);
  return verify(companion, deviceMessage, deviceSignature) ? "right" : "device_signature_wrong";
}

/** Names a signed identity by its signatures: the same one need not be verified twice. */
export function digestOfIdentity(identity: Uint8Array): string {
  const { details, accountSignature, deviceSignature } =
    proto.ADVSignedDeviceIdentity.decode(identity);
  const hash = createHash("sha256");
  for (const part of [details, accountSignature, deviceSignature]) hash.update(part ?? "none");
  return hash.digest("base64");
}
