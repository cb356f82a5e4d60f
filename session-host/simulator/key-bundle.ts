/** The public keys of one device as the server hands them out, and their form on the wire. */

import { bigEndian, bytes, child, element, integer, type Stanza } from "./stanza.ts";

export type PublicPreKey = { id: number; publicKey: Buffer };

export type PublicSignedPreKey = PublicPreKey & { signature: Buffer };

export type KeyBundle = {
  registrationId: number;
  identity: Buffer;
  signedPreKey: PublicSignedPreKey;
  preKey: PublicPreKey | undefined;
};

export function preKeyNode(key: PublicPreKey): Stanza {
  return element("key", {}, [
    element("id", {}, bigEndian(key.id, 3)),
    element("value", {}, key.publicKey),
  ]);
}

export function signedPreKeyNode(key: PublicSignedPreKey): Stanza {
  return element("skey", {}, [
    element("id", {}, bigEndian(key.id, 3)),
    element("value", {}, key.publicKey),
    element("signature", {}, key.signature),
  ]);
}

/** The children of `<user>` (key fetch) or of `<keys>` (retry receipt). */
export function bundleNodes(bundle: KeyBundle): Stanza[] {
  return [
    element("type", {}, Buffer.from([5])),
    element("identity", {}, bundle.identity),
    ...(bundle.preKey === undefined ? [] : [preKeyNode(bundle.preKey)]),
    signedPreKeyNode(bundle.signedPreKey),
  ];
}

export function parsePreKey(node: Stanza | undefined): PublicPreKey | undefined {
  const id = integer(child(node, "id"));
  const publicKey = bytes(child(node, "value"));
  return id === undefined || publicKey.length !== 32 ? undefined : { id, publicKey };
}

export function parseSignedPreKey(node: Stanza | undefined): PublicSignedPreKey | undefined {
  const key = parsePreKey(node);
  const signature = bytes(child(node, "signature"));
  return key === undefined || signature.length !== 64 ? undefined : { ...key, signature };
}

/** From a retry receipt; undefined when it carries no (complete) keys. */
export function parseRetryBundle(receipt: Stanza): KeyBundle | undefined {
  const keys = child(receipt, "keys");
  const registrationId = integer(child(receipt, "registration"));
  const identity = bytes(child(keys, "identity"));
  const signedPreKey = parseSignedPreKey(child(keys, "skey"));
  if (registrationId === undefined || identity.length !== 32 || signedPreKey === undefined)
    return undefined;
  return { registrationId, identity, signedPreKey, preKey: parsePreKey(child(keys, "key")) };
}
