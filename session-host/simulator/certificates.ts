/**
 * The server's Noise identity: a root key, an intermediate certificate signed by it, a leaf signed by the
 * intermediate whose key is the server's static key. Made once per simulator.
 */

import { proto } from "@whiskeysockets/baileys";
import { generateKeyPair, sign, type KeyPair } from "./curve.ts";

export type ServerIdentity = {
  rootPublicKey: Buffer;
  noiseStatic: KeyPair;
  certificateChain: Uint8Array;
};

const YEAR_S = 365 * 24 * 60 * 60;

export function makeServerIdentity(nowMs: number): ServerIdentity {
  const root = generateKeyPair();
  const intermediate = generateKeyPair();
  const noiseStatic = generateKeyPair();
  const notBefore = Math.floor(nowMs / 1000) - YEAR_S;
  const notAfter = notBefore + 10 * YEAR_S;
  const { Details } = proto.CertChain.NoiseCertificate;
  const intermediateDetails = Details.encode({
    serial: 1,
    issuerSerial: 0,
    key: intermediate.publicKey,
    notBefore,
    notAfter,
  }).finish();
  const leafDetails = Details.encode({
    serial: 2,
    issuerSerial: 1,
    key: noiseStatic.publicKey,
    notBefore,
    notAfter,
  }).finish();
  const certificateChain = proto.CertChain.encode({
    intermediate: {
      details: intermediateDetails,
      signature: sign(root.privateKey, intermediateDetails),
    },
    leaf: { details: leafDetails, signature: sign(intermediate.privateKey, leafDetails) },
  }).finish();
  return { rootPublicKey: root.publicKey, noiseStatic, certificateChain };
}
