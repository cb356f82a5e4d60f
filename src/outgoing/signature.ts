/**
 * Standard Webhooks signatures and their secrets. Signs anew for every attempt, since the attempt's time is part of what
 * is signed. Holds no storage.
 */
import { Webhook } from "standardwebhooks";
import type { RandomBytes } from "../domain/id.ts";

const SECRET_BYTES = 32;

/** A fresh secret in the written form that receivers' libraries take. */
export function drawSecret(random: RandomBytes): string {
  return `whsec_${btoa(String.fromCharCode(...random(SECRET_BYTES)))}`;
}

/** The three headers; with two secrets, during a rotation, there are two signatures. */
export function signatureHeaders(
  secrets: readonly string[],
  eventId: string,
  nowMs: number,
  body: string,
): Record<string, string> {
  const signedAt = new Date(nowMs);
  return {
    "webhook-id": eventId,
    "webhook-timestamp": String(Math.floor(nowMs / 1000)),
    "webhook-signature": secrets
      .map((secret) => new Webhook(secret).sign(eventId, signedAt, body))
      .join(" "),
  };
}
