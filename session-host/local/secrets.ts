/**
 * The secrets of one local installation: drawn fresh, and what the Worker is given of them. The Worker never sees
 * the seal key or the operator's token itself.
 */
import { createHash } from "node:crypto";
import { randomHex } from "../../src/domain/id.ts";
import type { RandomBytes } from "../../src/domain/id.ts";
import { sealProofPublicKey } from "../seal-proof.ts";

export interface Secrets {
  bodyKey: string;
  fingerprintKey: string;
  operatorToken: string;
  /** `<keyId>:<base64>`, as the session host takes it. */
  sealKey: string;
  /** The JSON that the Worker takes as SEAL_PROOFS. */
  sealProofs: string;
}

export function drawSecrets(random: RandomBytes): Secrets {
  const id = `local-${randomHex(random, 3)}`;
  const key = Buffer.from(random(32));
  return {
    bodyKey: base64Key(random),
    fingerprintKey: base64Key(random),
    operatorToken: randomHex(random, 24),
    sealKey: `${id}:${key.toString("base64")}`,
    sealProofs: JSON.stringify({ [id]: sealProofPublicKey({ id, key }) }),
  };
}

/** The Worker's vars and secrets. */
export function workerVars(
  secrets: Secrets,
  settings: { pacing: "on" | "off"; flushDelayMs: number },
): Record<string, string> {
  return {
    BODY_KEY: secrets.bodyKey,
    FINGERPRINT_KEY: secrets.fingerprintKey,
    OPERATOR_TOKEN_HASH: createHash("sha256").update(secrets.operatorToken).digest("hex"),
    SEAL_PROOFS: secrets.sealProofs,
    PACING: settings.pacing,
    FLUSH_DELAY_MS: String(settings.flushDelayMs),
    // The receiver of a local start is on this machine; nowhere else may a webhook point to its own gateway.
    WEBHOOK_LOOPBACK: "allow",
  };
}

function base64Key(random: RandomBytes): string {
  return Buffer.from(random(32)).toString("base64");
}
