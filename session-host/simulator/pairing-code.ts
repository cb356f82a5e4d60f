/**
 * The cryptography of linking with an eight-letter code, on the phone's side. The code is stretched with PBKDF2 and
 * wraps both ephemeral keys; a wrong code shows only when the companion's key bundle does not open.
 */

import { createCipheriv, createDecipheriv, hkdfSync, pbkdf2 } from "node:crypto";
import { promisify } from "node:util";
import { agree, type KeyPair } from "./curve.ts";

const ITERATIONS = 131_072;
const NOTHING = Buffer.alloc(0);
const stretch = promisify(pbkdf2);

type RandomBytes = (length: number) => Buffer;

export async function unwrapEphemeral(code: string, wrapped: Buffer): Promise<Buffer> {
  const key = await stretch(code, wrapped.subarray(0, 32), ITERATIONS, 32, "sha256");
  const decipher = createDecipheriv("aes-256-ctr", key, wrapped.subarray(32, 48));
  return Buffer.concat([decipher.update(wrapped.subarray(48, 80)), decipher.final()]);
}

export async function wrapEphemeral(
  code: string,
  publicKey: Buffer,
  randomBytes: RandomBytes,
): Promise<Buffer> {
  const salt = randomBytes(32);
  const iv = randomBytes(16);
  const cipher = createCipheriv(
    "aes-256-ctr",
    await stretch(code, salt, ITERATIONS, 32, "sha256"),
    iv,
  );
  return Buffer.concat([salt, iv, cipher.update(publicKey), cipher.final()]);
}

export type BundleTerms = {
  bundle: Buffer;
  ephemeral: KeyPair;
  companionEphemeral: Buffer;
  identity: KeyPair;
  companionIdentity: Buffer;
};

/** The secret both sides now share, or undefined when the code was wrong. */
export function openKeyBundle(terms: BundleTerms): Buffer | undefined {
  const { bundle, ephemeral, companionEphemeral, identity, companionIdentity } = terms;
  const ephemeralSecret = agree(ephemeral.privateKey, companionEphemeral);
  const salt = bundle.subarray(0, 32);
  const key = Buffer.from(
    hkdfSync("sha256", ephemeralSecret, salt, "link_code_pairing_key_bundle_encryption_key", 32),
  );
  const content = openBundle(key, bundle.subarray(32));
  if (content?.length !== 96) return undefined;
  if (
    !content.subarray(0, 32).equals(companionIdentity) ||
    !content.subarray(32, 64).equals(identity.publicKey)
  )
    return undefined;
  const identitySecret = agree(identity.privateKey, companionIdentity);
  const material = Buffer.concat([ephemeralSecret, identitySecret, content.subarray(64)]);
  return Buffer.from(hkdfSync("sha256", material, NOTHING, "adv_secret", 32));
}

function openBundle(key: Buffer, sealed: Buffer): Buffer | undefined {
  const decipher = createDecipheriv("aes-256-gcm", key, sealed.subarray(0, 12));
  decipher.setAuthTag(sealed.subarray(sealed.length - 16));
  const opened = decipher.update(sealed.subarray(12, sealed.length - 16));
  try {
    return Buffer.concat([opened, decipher.final()]);
  } catch {
    // A failed authentication tag is the expected sign of a mistyped code.
    return undefined;
  }
}
