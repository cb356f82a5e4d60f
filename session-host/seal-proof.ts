/**
 * The proof that a host holds the seal key: an Ed25519 key derived from it signs the fleet's challenge. Also
 * makes fresh seal keys for the operator. Never sends or prints the seal key of a running host.
 */
import { createPrivateKey, createPublicKey, hkdfSync, randomBytes, sign } from "node:crypto";
import type { KeyObject } from "node:crypto";
import { sealProofText } from "../src/bridge/control-frames.ts";
import type { SealKey } from "./sealing.ts";

/** What PKCS#8 puts before the 32 bytes of an Ed25519 seed, and SPKI before a raw public key. */
const PKCS8_PREFIX = Buffer.from("302e020100300506032b657004220420", "hex");
const SPKI_PREFIX_BYTES = 12;

function proofKey(sealKey: SealKey): KeyObject {
  const seed = hkdfSync("sha256", sealKey.key, Buffer.alloc(0), "kabar seal proof v1", 32);
  return createPrivateKey({
    key: Buffer.concat([PKCS8_PREFIX, Buffer.from(seed)]),
    format: "der",
    type: "pkcs8",
  });
}

/** The raw public key in base64, as SEAL_PROOFS holds it. */
export function sealProofPublicKey(sealKey: SealKey): string {
  const spki = createPublicKey(proofKey(sealKey)).export({ format: "der", type: "spki" });
  return spki.subarray(SPKI_PREFIX_BYTES).toString("base64");
}

export function signSealProof(sealKey: SealKey, bootId: string, nonce: string): string {
  return sign(null, Buffer.from(sealProofText(bootId, nonce)), proofKey(sealKey)).toString(
    "base64",
  );
}

/** Two lines for the operator: the secret for the hosts and the public half for the Worker. */
export function newSealKeyLines(id: string): string {
  const key = randomBytes(32);
  const proofs = JSON.stringify({ [id]: sealProofPublicKey({ id, key }) });
  return `SEAL_KEY=${id}:${key.toString("base64")}\nSEAL_PROOFS=${proofs}\n`;
}
