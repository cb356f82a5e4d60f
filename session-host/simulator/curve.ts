/**
 * Curve25519 as the protocol uses it. Agreement is Node's own; XEdDSA signatures come from libsignal's curve module,
 * because Node has none. Public keys here are 32 bytes; the 33-byte form with the leading type is `typed()`.
 */

import { createPrivateKey, createPublicKey, diffieHellman, generateKeyPairSync } from "node:crypto";
import { calculateSignature, verifySignature } from "libsignal/src/curve.js";

export type KeyPair = { publicKey: Buffer; privateKey: Buffer };

export const KEY_TYPE = Buffer.from([5]);

const SPKI_PREFIX = Buffer.from("302a300506032b656e032100", "hex");
const PKCS8_PREFIX = Buffer.from("302e020100300506032b656e04220420", "hex");

export function generateKeyPair(): KeyPair {
  const pair = generateKeyPairSync("x25519", {
    publicKeyEncoding: { format: "der", type: "spki" },
    privateKeyEncoding: { format: "der", type: "pkcs8" },
  });
  return {
    publicKey: pair.publicKey.subarray(SPKI_PREFIX.length),
    privateKey: pair.privateKey.subarray(PKCS8_PREFIX.length),
  };
}

export function agree(privateKey: Buffer, publicKey: Uint8Array): Buffer {
  return diffieHellman({
    privateKey: createPrivateKey({
      key: Buffer.concat([PKCS8_PREFIX, privateKey]),
      format: "der",
      type: "pkcs8",
    }),
    publicKey: createPublicKey({
      key: Buffer.concat([SPKI_PREFIX, publicKey]),
      format: "der",
      type: "spki",
    }),
  });
}

export function sign(privateKey: Buffer, message: Uint8Array): Buffer {
  return Buffer.from(calculateSignature(privateKey, message));
}

/** Whether the signature is right. A malformed key or signature is a wrong one, not an exception. */
export function verify(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean {
  if (publicKey.length !== 32 || signature.length !== 64 || message.length === 0) return false;
  return verifySignature(typed(publicKey), Buffer.from(message), Buffer.from(signature));
}

export function typed(publicKey: Uint8Array): Buffer {
  return publicKey.length === 33 ? Buffer.from(publicKey) : Buffer.concat([KEY_TYPE, publicKey]);
}

export function untyped(publicKey: Uint8Array): Buffer {
  return Buffer.from(publicKey.length === 33 ? publicKey.subarray(1) : publicKey);
}
